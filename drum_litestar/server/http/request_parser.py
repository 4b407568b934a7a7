"""From bytes to requests: httptools behind three events, and the checks of a head that it leaves out.

No head may be ambiguous between two servers in a row. llhttp already refuses most request-smuggling shapes
(Content-Length beside Transfer-Encoding, repeated or signed lengths, obs-fold, bare LF). Checked here is what it
accepts, or reports only after the head is complete (RFC 9112, 3.2, 6.1 and 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol
from urllib.parse import unquote

import httptools

from drum_litestar.errors import BadRequestError, RequestError

Header = tuple[bytes, bytes]

_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_SPECIAL: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))
_UPGRADE_HEADERS: Final = frozenset((b"upgrade", b"connection", b"http2-settings"))
_HEADER_OVERHEAD: Final = 32
"""Bytes counted for each header beside its text (as HTTP/2 does), which bounds the number of headers too."""


class HeadTooLargeError(RequestError):
    """Request line and headers are over the limit."""

    status = 431

    def __init__(self) -> None:
        super().__init__("Request header fields too large")


class RequestEvents(Protocol):
    """What a parser tells of requests, in this order."""

    def on_request(self, scope: dict[str, Any], keep_alive: bool, expects_continue: bool) -> None:
        """A head is complete. ``scope`` has what the head says; ``keep_alive``: another request may follow.

        May raise a ``RequestError``, which :meth:`RequestParser.feed` returns.
        """

    def on_body(self, data: bytes) -> None:
        """Part of the body has come."""

    def on_request_complete(self) -> None:
        """The request is complete."""


class RequestParser:
    """Parser of one connection's requests.

    Trailers are dropped: among the headers they would bypass the checks that were made of those. An offer to upgrade
    is ignored (RFC 9110, 7.8), which httptools cannot: the head is parsed again without it. What follows a request
    that ends the connection is ignored.

    Args:
        events: is told of requests.
        template: an ASGI scope with the connection's part, ``root_path`` among it; each request's is a copy.
        max_head_size: bytes of request line and headers, and of any other text between pieces of a body.
    """

    __slots__ = (
        "_events",
        "_fed",
        "_headers",
        "_keep_alive",
        "_max_head_size",
        "_offer",
        "_parser",
        "_piece",
        "_special",
        "_template",
        "_unfinished",
        "_url",
        "ended",
        "in_head",
    )

    def __init__(self, events: RequestEvents, template: dict[str, Any], max_head_size: int) -> None:
        self._events = events
        self._template = template
        self._max_head_size = max_head_size
        self._parser: Any = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[Header] = []
        self._special: list[Header] = []
        self._offer: tuple[bytes, str] | None = None
        self._keep_alive = True
        self._piece = 0  # bytes of what is being fed
        self._fed = 0  # not less than the bytes of the head that is being read
        self._unfinished = 0  # bytes since the last complete head, piece of a body, or message
        self.in_head = False
        """Part of a head has arrived, and not all of it."""
        self.ended = False
        """The last request of the connection is complete."""

    def feed(self, data: bytes) -> RequestError | None:
        """Parse ``data``; returns the error of what is no request, after which the parser cannot be used."""
        if self.ended:
            return None
        self._piece = len(data)
        self._fed += self._piece
        self._unfinished += self._piece
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if self.ended:
                return None
            cause = error.__context__
            refusal = cause if isinstance(cause, RequestError) else BadRequestError("Invalid HTTP request received.")
            return refusal.with_traceback(None)  # whose frames refer to the connection
        return HeadTooLargeError() if self._unfinished > self._max_head_size else None

    def close(self) -> None:
        """Part from httptools' parser, which refers to this one."""
        self._parser = None

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = data[upgrade.args[0] :]
            # The parser takes the offer as accepted and skips the body.
            assert self._offer is not None
            data = _head_without_upgrade(*self._offer, self._url, self._headers) + rest
            self._offer = None
            self._piece = len(data)
            self._parser = httptools.HttpRequestParser(self)

    # httptools' callbacks

    def on_message_begin(self) -> None:
        """Start a head."""
        if self.ended:
            raise BadRequestError("Another request after the last one")
        self._url = b""
        self._headers = []
        self._special = []
        self._fed = self._piece  # it begins somewhere in this one
        self.in_head = True

    def on_url(self, url: bytes) -> None:
        """Add a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header, or a trailer to a list that nobody looks at."""
        name = name.lower()
        value = value.rstrip(b" \t")  # the parser keeps trailing blanks (RFC 9110, 5.5)
        if name in _SPECIAL:
            self._special.append((name, value))
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the head and announce the request."""
        parser, url, headers = self._parser, self._url, self._headers
        method, version = parser.get_method(), parser.get_http_version()
        expects_continue = self._check(method, version)
        if parser.should_upgrade():
            self._offer = (method, version)
            return
        scope = self._template.copy()
        path, scope["query_string"] = _split_target(url)
        root_path = scope["root_path"]
        text = path.decode("ascii")
        scope["path"] = root_path + (unquote(text) if "%" in text else text)
        scope["raw_path"] = root_path.encode("ascii") + path if root_path else path
        scope["method"] = method.decode("ascii")
        scope["http_version"] = version
        scope["headers"] = headers
        self._headers = []
        self._keep_alive = version == "1.1" and parser.should_keep_alive()
        self.in_head = False
        self._unfinished = 0
        self._events.on_request(scope, self._keep_alive, expects_continue and version == "1.1")

    def on_body(self, data: bytes) -> None:
        """Pass a piece of the body on."""
        self._unfinished = 0
        self._events.on_body(data)

    def on_message_complete(self) -> None:
        """Announce the end of the request."""
        if self._offer is None:
            self._unfinished = 0
            self.ended = not self._keep_alive
            self._events.on_request_complete()

    def _check(self, method: bytes, version: str) -> bool:
        """Check the head; returns whether it expects 100 Continue.

        Raises BadRequestError or HeadTooLargeError.
        """
        if version not in ("1.1", "1.0"):
            raise BadRequestError(f"HTTP/{version} is not supported here")
        if method == b"CONNECT":
            raise BadRequestError("CONNECT is not supported here")
        if not self._url.isascii():
            raise BadRequestError("Invalid request target")
        expects_continue = False
        seen: list[bytes] = []
        for name, value in self._special:
            if name == b"expect":
                expects_continue = expects_continue or value.lower() == b"100-continue"
                continue
            if name in seen:
                raise BadRequestError(f"Repeated {name.decode('ascii')} header")
            seen.append(name)
            if name == b"content-length":
                if _DIGITS.fullmatch(value) is None:
                    raise BadRequestError("Invalid content-length header")
            elif name == b"transfer-encoding" and (version != "1.1" or value.lower() != b"chunked"):
                raise BadRequestError("Invalid transfer-encoding header")
        if self._fed + _HEADER_OVERHEAD * len(self._headers) > self._max_head_size:
            self._check_size()
        if b"content-length" in seen and b"transfer-encoding" in seen:
            raise BadRequestError("Both content-length and transfer-encoding")
        return expects_continue

    def _check_size(self) -> None:
        size = len(self._url) + sum(len(name) + len(value) + _HEADER_OVERHEAD for name, value in self._headers)
        if size > self._max_head_size:
            raise HeadTooLargeError


def _split_target(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target. Raises httptools' error, or BadRequestError, for one that has no path."""
    if url.startswith(b"/") and b"#" not in url:  # nearly all
        path, _, query = url.partition(b"?")
        return path, query
    target = httptools.parse_url(url)
    if not target.path:
        raise BadRequestError("Invalid HTTP request received.")
    return target.path, target.query or b""


def _head_without_upgrade(method: bytes, version: str, url: bytes, headers: Sequence[Header]) -> bytes:
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
