"""One message and its answer as an ASGI request, so that it passes the middleware stack as every request does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from drum_litestar.middleware.asgi import CLIENT_CLOSED, START, ASGIApp, Message
from drum_litestar.request_state import request_state

_OF_TRANSPORT: Final = frozenset(("accept-encoding", "content-encoding", "content-length", "transfer-encoding"))
"""Metadata that would be read as headers of HTTP about a body, which gRPC has its own of."""

_LEAST_SECONDS: Final = 0.001
"""Timeout of a call that arrives at its deadline: 0 would be none."""
_TIMER_SLACK: Final = 0.05
"""Seconds by which gRPC's timer and the event loop's may differ."""

Read = Callable[[], Awaitable["bytes | None"]]
"""The next message; None when there is none, or the client is gone."""


class Answer(msgspec.Struct):
    """What the stack answered: HTTP's status, headers and body."""

    status: int = CLIENT_CLOSED
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""

    def error_text(self) -> str:
        """The text of an error, which middleware, controllers and the protocol write under different names."""
        try:
            fields = msgspec.json.decode(self.body)
            return str(fields.get("error") or fields["message"])
        except (msgspec.DecodeError, AttributeError, KeyError):
            return self.body.decode("utf-8", "replace")


class Exchange:
    """Runs the stack for one message."""

    __slots__ = ("_answer", "_deadline", "_gone", "_parts", "_read", "_scope", "_watchers")

    def __init__(self, path: str, context: Any, read: Read, *, seconds: float | None, server: tuple[str, int]) -> None:
        """``read`` is awaited when the application wants the body, once. ``seconds``: the client's timeout from now."""
        self._scope = _scope(path, context, server)
        self._read: Read | None = read
        self._answer = Answer()
        self._parts: list[bytes] = []
        self._gone = asyncio.Event()
        self._watchers: list[Callable[[], None]] = []
        self._deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        state = request_state(self._scope)
        state.timeout = None if seconds is None else max(seconds, _LEAST_SECONDS)
        state.on_disconnect = self._watch

    async def run(self, app: ASGIApp, tasks: set[asyncio.Task[Any]]) -> Answer:
        """The answer of ``app``, which runs in a task of its own, one of ``tasks``.

        gRPC cancels the caller when its client has gone, which the application is told, or its deadline has passed,
        which ends the application by itself.
        """
        task = asyncio.ensure_future(self._run(app))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                now = asyncio.get_running_loop().time()
                if self._deadline is None or now < self._deadline - _TIMER_SLACK:
                    self._client_gone()
                raise
            # else the stack has been cancelled, at the end of a shutdown's grace period, and has said so
        self._answer.body = b"".join(self._parts)
        return self._answer

    async def _run(self, app: ASGIApp) -> None:
        await app(self._scope, self._receive, self._send)

    def _client_gone(self) -> None:
        self._gone.set()
        for watcher in tuple(self._watchers):
            watcher()

    def _watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        if self._gone.is_set():
            asyncio.get_running_loop().call_soon(callback)
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    async def _receive(self) -> Message:
        if self._read is None:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        read, self._read = self._read, None
        body = await read()
        if body is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == START:
            self._answer.status, self._answer.headers = message["status"], message["headers"]
        else:
            self._parts.append(message.get("body", b""))


def _scope(path: str, context: Any, server: tuple[str, int]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "path_template": path,  # for metrics, also of a request that the stack refuses
        "raw_path": path.encode("ascii"),
        "query_string": b"",
        "root_path": "",
        "headers": headers_of(context.invocation_metadata() or ()),
        "client": _client(context.peer()),
        "server": server,
    }


def headers_of(metadata: Iterable[Any]) -> list[tuple[bytes, bytes]]:
    """Metadata as headers of an ASGI scope, without binary values."""
    return [
        (name.encode("ascii"), value.encode("latin-1", "replace"))
        for name, value in metadata
        if isinstance(value, str) and name not in _OF_TRANSPORT
    ]


def _client(peer: str) -> tuple[str, int] | None:
    """Host and port of gRPC's ``ipv4:127.0.0.1:1234`` or ``ipv6:%5B::1%5D:1234``."""
    kind, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if kind in ("ipv4", "ipv6") and port.isdigit() else None
