"""Heads of responses as bytes: status lines, and headers that cannot be taken for anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, NamedTuple

_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}

STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, "UNKNOWN").encode("ascii"))
    for status in range(100, 1000)
}
"""A hook may answer with any status of three digits (contract, 3.4)."""

_NO_NAME: Final = re.compile(rb"[^a-z0-9!#$%&'*+.^_`|~-]")
_NO_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))


class Fields(NamedTuple):
    """The headers of a response, rendered, and what they say of its end."""

    lines: bytes
    """All headers but ``Transfer-Encoding``, each with its line end."""
    length: int | None
    """``Content-Length``."""
    chunked: bool
    """``Transfer-Encoding: chunked`` was asked for."""
    close: bool
    """``Connection: close`` is among them."""


def render_fields(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Render ``headers``; names are written in lower case.

    Raises RuntimeError for a header that is not one (RFC 9110, 5), or that leaves the body's end open to doubt.
    """
    pairs = [*headers]
    parts: list[bytes] = []
    length = None
    chunked = close = False
    for name, value in pairs:
        if name in _FRAMING:
            if name == b"connection":
                close = close or b"close" in [option.strip() for option in value.lower().split(b",")]
            elif name == b"transfer-encoding":
                if value.lower() != b"chunked":
                    raise RuntimeError(f"Invalid Transfer-Encoding {value!r}")
                chunked = True
                continue
            elif length is not None or not value.isdigit():
                raise RuntimeError(f"Invalid Content-Length {value!r}")
            else:
                length = int(value)
        parts += (name, b": ", value, b"\r\n")
    names = parts[::4]
    if _NO_NAME.search(b"".join(names)) is not None:
        lower = [(name.lower(), value) for name, value in pairs]
        if lower == pairs:
            raise RuntimeError(f"Invalid HTTP header among {names!r}")
        return render_fields(lower)
    if b"" in names or _NO_VALUE.search(b"".join(parts[2::4])) is not None:
        raise RuntimeError(f"Invalid HTTP header among {names!r}")
    if chunked and length is not None:
        raise RuntimeError("Both Content-Length and Transfer-Encoding")
    return Fields(b"".join(parts), length, chunked, close)


class DefaultFields:
    """uvicorn's default headers (``Date``), rendered once for each list of them: it makes a new one each second."""

    __slots__ = ("_headers", "_lines")

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._lines = b""

    def render(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Render ``headers``, each with its line end."""
        if headers is not self._headers:
            self._headers = headers
            self._lines = render_fields(headers).lines
        return self._lines
