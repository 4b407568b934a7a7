"""A request and an answer, as this tool passes them around."""

from __future__ import annotations

from typing import Final

import msgspec

from drum_litestar.settings.masking import masked

Headers = tuple[tuple[str, str], ...]

HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
"""Headers that belong to one connection and are never passed on (RFC 9110, 7.6.1)."""

UNAVAILABLE: Final = frozenset((502, 503, 504, 513))
"""513 is DRUM's for a model that failed to load (contract, 5.1)."""

DEFAULT_HEADERS: Final = ("content-type", "x-drum-user-http-error")
"""Headers that must agree."""

DEFAULT_SKIPPED: Final = ("*/stats", "*/info", "*/metrics")
"""Routes that describe the server itself: two servers never agree there."""

REQUEST_ID: Final = "X-Request-ID"


class Request(msgspec.Struct, frozen=True):
    """One request. ``target`` is path and query as on the wire, without the server's own prefix; ``headers`` are
    end-to-end ones, without Host and Content-Length, which depend on the server it goes to."""

    id: str
    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""

    @property
    def name(self) -> str:
        """For people: without the secrets that its query may hold."""
        return masked(f"{self.method} {self.target} [{self.id}]")


class Answer(msgspec.Struct, frozen=True):
    """What a server answered. ``error`` is set when there was no (whole) answer; ``status`` is then 0 or what had
    been seen. ``seconds`` run from the last byte of the request to the last byte of the answer. ``complete`` is False
    when the body was too large to be kept."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    seconds: float = 0.0
    error: str | None = None
    complete: bool = True

    @property
    def failed(self) -> bool:
        """No (whole) answer: refused, reset, timed out, cut."""
        return self.error is not None

    @property
    def is_error(self) -> bool:
        """Failed, or a 5xx."""
        return self.failed or self.status >= 500

    @property
    def unavailable(self) -> bool:
        """Failed, or a status that says that there is no model to answer: such answers agree, and prove nothing."""
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
