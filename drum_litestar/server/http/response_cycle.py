"""Response cycle that sends a complete response in one write.

uvicorn writes head and body separately, which costs a second system call and wakes the client twice, and looks
at each header with two regular expressions. Here the head of an answer of known length waits for the body, and what
must not be in a head is looked for once, in all of it. Until then it can be withdrawn (``scope.WITHDRAW``). Everything
unusual is left to uvicorn, except for its errors: heads that it finds invalid when it is too late for another
answer, and bodies of unknown length for HTTP/1.0, which has no chunks.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from drum_litestar.request_state import WITHDRAW

_TOKEN: Final = b"abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+.^_`|~-"
_FORBIDDEN: Final = bytes([*range(9), 11, 12, *range(14, 32), 127])
_UNUSUAL: Final = frozenset({b"connection", b"transfer-encoding"})
_LENGTH: Final = b"content-length"
_MAX_JOINED: Final = 64 * 1024
"""Bytes of a body; above it a copy would cost more than a write."""

# A hook may answer with any status (contract, 3.4); uvicorn knows 100 to 599, and no phrase where there is no name.
STATUS_LINE.update(
    {status: b"HTTP/1.1 %d UNKNOWN\r\n" % status for status in set(range(100, 1000)).difference(map(int, HTTPStatus))}
)


class SingleWriteCycle(RequestResponseCycle):
    """See the module's docstring."""

    _head: bytes | None = None
    """The rendered head, which is sent together with the body."""
    _ends_by_close = False
    """The end of the connection marks the end of the body."""

    async def send(self, message: Any) -> None:
        """ASGI's ``send``. Raises RuntimeError for a message that cannot be sent."""
        head = self._head
        if head is not None:
            if self._is_rest(message):
                self._head = None
                self._finish(head, message.get("body", b""))
                return
            if message["type"] == WITHDRAW:
                self._withdraw()
                return
            self._head = None
            if not self.disconnected:
                self.transport.write(head)
        elif not (
            self.response_started or self.disconnected or self.flow.write_paused or self.scope["method"] == "HEAD"
        ):
            try:
                self._head = self._render(message)
            except TypeError:  # headers that are not pairs of bytes
                self._head = None
            if self._head is not None:
                self.response_started = True
                self.waiting_for_100_continue = False
                return
        if message["type"] == WITHDRAW:
            self._withdraw()
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._check(message)
        if self._ends_by_close:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
        if message["type"] == "http.response.start" and message["status"] in (204, 304):
            self.expected_content_length = 0  # their Content-Length is that of another response (RFC 9110, 8.6)

    def _withdraw(self) -> None:
        if self.response_started and self._head is None:
            raise RuntimeError("Part of the response has been sent")
        self._head = None
        self.response_started = False
        self.chunked_encoding = None
        self.expected_content_length = 0

    def _check(self, message: Any) -> None:
        """Raise RuntimeError for a head that must not be sent, while another one still can."""
        if message["status"] not in STATUS_LINE:
            raise RuntimeError(f"Invalid HTTP status {message['status']!r}")
        framed = False
        for name, value in message.get("headers", ()):
            lower = name.lower()
            if not _are_names([lower]) or not _harmless(value, 0):
                raise RuntimeError(f"Invalid HTTP header {name!r}")
            if lower == _LENGTH and not value.isdigit():
                raise RuntimeError(f"Invalid Content-Length {value!r}")
            framed = framed or lower in (_LENGTH, b"transfer-encoding")
        if not framed and self.scope["http_version"] == "1.0":
            self.chunked_encoding = False
            self._ends_by_close = True

    def _render(self, message: Any) -> bytes | None:
        """Status line and headers as bytes; None for a head that is left to uvicorn, or has no length."""
        if message["type"] != "http.response.start":
            return None
        if message["status"] not in STATUS_LINE:
            return None
        lines = []
        names = []
        length = None
        for name, value in (*self.default_headers, *message.get("headers", ())):
            if name == _LENGTH:
                if length is not None or not value.isdigit():
                    return None
                length = int(value)
            elif name in _UNUSUAL:
                return None
            names.append(name)
            lines.append(b"%b: %b\r\n" % (name, value))
        if length is None or not _are_names(names):
            return None
        fields = b"".join(lines)
        if not _harmless(fields, len(lines)):
            return None
        self.expected_content_length = length if message["status"] not in (204, 304) else 0
        self.chunked_encoding = False
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        return STATUS_LINE[message["status"]] + fields + end

    def _is_rest(self, message: Any) -> bool:
        """Whether ``message`` completes the response, and the client is there to read it at once."""
        return (
            not message.get("more_body", False)
            and message["type"] == "http.response.body"
            and len(message.get("body", b"")) == self.expected_content_length
            and not (self.disconnected or self.flow.write_paused)
        )

    def _finish(self, head: bytes, body: bytes) -> None:
        if len(body) <= _MAX_JOINED:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        self.expected_content_length = 0
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()


def _are_names(names: list[bytes]) -> bool:
    """Each is a header's name (RFC 9110, 5.6.2) in lower case."""
    return b"" not in names and not b"".join(names).translate(None, _TOKEN)


def _harmless(text: bytes, lines: int) -> bool:
    """``text`` is this many lines, and nothing in it could be taken for another one."""
    return text.count(b"\n") == text.count(b"\r") == lines and len(text.translate(None, _FORBIDDEN)) == len(text)
