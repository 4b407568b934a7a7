"""Request and answer, the messages that the comparison handles."""

from __future__ import annotations

from typing import Final

import msgspec

from drum_litestar.settings.masking import masked

Headers = tuple[tuple[str, str], ...]

HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
"""Headers of one connection, which are never forwarded (RFC 9110, 7.6.1)."""

UNAVAILABLE: Final = frozenset((502, 503, 504, 513))
"""Statuses of a server without a ready model; 513 is DRUM's for a model that failed to load (contract, 5.1)."""

DEFAULT_HEADERS: Final = ("content-type", "x-drum-user-http-error")
"""Headers that must agree."""

DEFAULT_SKIPPED: Final = ("*/stats", "*/info", "*/metrics")
"""Routes that describe the server itself, and so always differ."""

REQUEST_ID: Final = "X-Request-ID"


class Request(msgspec.Struct, frozen=True):
    """One request. ``target`` is path and query as on the wire, without the server's own prefix; ``headers`` are
    end-to-end headers without Host and Content-Length, which depend on the server."""

    id: str
    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""

    @property
    def name(self) -> str:
        """Text for reports, with the secrets of the query masked."""
        return masked(f"{self.method} {self.target} [{self.id}]")


class Answer(msgspec.Struct, frozen=True):
    """A server's answer. ``error`` is set when there was no complete answer; ``status`` is then 0 or the received one.
    ``seconds`` run from the last byte of the request to the last byte of the answer. ``complete`` is False
    when the body was too large to be kept."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    seconds: float = 0.0
    error: str | None = None
    complete: bool = True

    @property
    def failed(self) -> bool:
        """No complete answer: connection refused, reset, timed out or closed early."""
        return self.error is not None

    @property
    def is_error(self) -> bool:
        """Failed, or a 5xx."""
        return self.failed or self.status >= 500

    @property
    def unavailable(self) -> bool:
        """Failed, or a status without a ready model: two such answers agree, but prove nothing."""
        return self.failed or self.status in UNAVAILABLE

    def header(self, name: str) -> str | None:
        """All values of ``name`` (any case), joined as RFC 9110 allows; None when absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    def summary(self) -> str:
        return f"no answer ({self.error})" if self.error is not None else f"status {self.status}"


def end_to_end(headers: Headers, *, drop: frozenset[str] = frozenset()) -> Headers:
    """``headers`` without hop-by-hop ones, those that ``Connection`` names, and ``drop`` (lower case)."""
    named = {
        token.strip().lower() for name, value in headers if name.lower() == "connection" for token in value.split(",")
    }
    unwanted = HOP_BY_HOP | named | drop
    return tuple((name, value) for name, value in headers if name.lower() not in unwanted)


def decode_headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)


def encode_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
