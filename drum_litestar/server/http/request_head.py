"""Checks of a request head that the parser leaves out: no head may be ambiguous between two servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

import httptools

from drum_litestar.errors import BadRequestError, RequestError

_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_FRAMING: Final = frozenset((b"host", b"content-length", b"transfer-encoding"))
_UPGRADE_HEADERS: Final = frozenset((b"upgrade", b"connection", b"http2-settings"))


class HeadTooLargeError(RequestError):
    """Request line and headers are over the limit."""

    status = 431

    def __init__(self) -> None:
        super().__init__("Request header fields too large")


_HEADER_OVERHEAD: Final = 32
"""Bytes counted for each header beside its text (as HTTP/2 does), which bounds the number of headers too."""


def check_head(method: bytes, version: str, url: bytes, headers: Sequence[tuple[bytes, bytes]], max_size: int) -> None:
    """Check a head; raises BadRequestError or HeadTooLargeError (over ``max_size`` bytes).

    llhttp already refuses most request-smuggling shapes (Content-Length beside Transfer-Encoding, repeated or
    signed lengths, obs-fold, bare LF). Checked here is what it accepts or reports only after the head is complete
    (RFC 9112, 3.2, 6.1 and 6.3). ``headers`` have lower-case names.
    """
    if version not in ("1.1", "1.0"):
        raise BadRequestError(f"HTTP/{version} is not supported here")
    if method == b"CONNECT":
        raise BadRequestError("CONNECT is not supported here")
    if not url.isascii():
        raise BadRequestError("Invalid request target")
    size = len(url) + _HEADER_OVERHEAD * len(headers)
    seen: set[bytes] = set()
    for name, value in headers:
        size += len(name) + len(value)
        if name not in _FRAMING:
            continue
        if name in seen:
            raise BadRequestError(f"Repeated {name.decode('ascii')} header")
        seen.add(name)
        if name == b"content-length":
            if _DIGITS.fullmatch(value) is None:
                raise BadRequestError("Invalid content-length header")
        elif name == b"transfer-encoding" and (version != "1.1" or value.lower() != b"chunked"):
            raise BadRequestError("Invalid transfer-encoding header")
    if size > max_size:
        raise HeadTooLargeError
    if b"content-length" in seen and b"transfer-encoding" in seen:
        raise BadRequestError("Both content-length and transfer-encoding")


def complete_scope(scope: dict[str, Any], method: bytes, version: str, url: bytes, root_path: str) -> None:
    """Add the parts of the request line to an ASGI HTTP scope. Raises httptools' error for a target that is no URL."""
    target = httptools.parse_url(url)
    path = target.path.decode("ascii")
    scope["method"] = method.decode("ascii")
    scope["http_version"] = version
    scope["path"] = root_path + (unquote(path) if "%" in path else path)
    scope["raw_path"] = root_path.encode("ascii") + target.path
    scope["query_string"] = target.query or b""


def head_without_upgrade(method: bytes, version: str, url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Serialize a head without its offer to upgrade the connection, which a server may ignore (RFC 9110, 7.8)."""
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode("ascii"))]
    options: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            options.update(token.strip().lower() for token in value.split(b","))
        if name not in _UPGRADE_HEADERS:
            lines.append(name + b": " + value)
    if b"close" in options:
        lines.append(b"connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n"
