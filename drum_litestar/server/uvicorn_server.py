"""uvicorn run from code: on sockets bound beforehand, with our own signals, drain and exit code.

uvicorn's own shutdown is not enough: afterwards it raises a captured SIGTERM again, so that the exit code says
"killed"; it waits for tasks by polling, and for ever for a client that does not read; a second SIGTERM does nothing; a
failed start ends in ``sys.exit`` inside uvicorn.

Shutdown::

    SIGTERM, with a lame duck ─▶ each connection's next answer is its last; the lame duck's end is handle.stop()
    first signal, or handle.stop() ─▶ on_drain() ─▶ close listeners and idle connections
        ─▶ running requests end (grace) ─▶ on_stop(seconds left) ─▶ lifespan shutdown ─▶ exit code
    second signal ─▶ requests cancelled ─▶ on_stop(0) ─▶ 130

The port of the probes stays open to the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, cast

import uvicorn

from drum_litestar.errors import StartupError
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.server.event_loop import run
from drum_litestar.server.http.connection import HttpConnection
from drum_litestar.server.probe_listener import ProbeListener
from drum_litestar.server.shutdown import ServerHandle, stop_signals
from drum_litestar.server.sockets import describe

_TICK: Final = 1.0
"""Seconds between uvicorn's housekeeping ticks, which renew the Date header."""
_FLUSH_POLL: Final = 0.05
"""Seconds between looks at a transport that flushes its last bytes during a shutdown: there is no event for its end."""

_logger: Final = logging.getLogger(__name__)

OnStarted = Callable[["ServerHandle"], Awaitable[None]]
OnStop = Callable[[float], Awaitable[None]]


class CallListener(Protocol):
    """A port with another protocol on the same event loop, whose calls a shutdown waits for as for requests."""

    async def open(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Accept connections. Each call is one of ``tasks`` while it runs. Raises StartupError."""

    def drain(self, grace: float) -> None:
        """Take no more calls; running ones may end within ``grace`` seconds."""

    async def close(self) -> None:
        """Close all connections, once the answers of ended calls are sent."""


class DrainingServer(uvicorn.Server):
    """uvicorn's server with our shutdown. ``uvicorn.Config`` must have the application object, not an import string."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        handle: ServerHandle,
        graceful_timeout: float,
        handshake_timeout: float = 0.0,
        probes: ProbeListener | None = None,
        calls: CallListener | None = None,
        on_started: OnStarted | None = None,
        on_stop: OnStop | None = None,
    ) -> None:
        """See :func:`run_server`; ``graceful_timeout`` and ``handshake_timeout`` are in seconds."""
        super().__init__(config)
        self._handshake_timeout = handshake_timeout
        self._probes = probes
        self._calls = calls
        self.handle = handle
        self.graceful_timeout = graceful_timeout
        self._on_started = on_started
        self._on_stop = on_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """No-op: :func:`run_server` installs its own handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the lifespan's startup, listen, then await ``on_started``. Raises StartupError, and what that raises."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise StartupError("The application failed to start; the log has the reason")
        await self._listen(sockets or ())
        if self._probes is not None:
            await self._probes.open()
        if self._calls is not None:
            await self._calls.open(self.server_state.tasks)
        self.started = True
        _logger.info("Listening on %s", describe(sockets or (), "https" if self.config.is_ssl else "http"))
        if self._on_started is not None:
            try:
                await self._on_started(self.handle)
            except BaseException:
                await self.shutdown(sockets)
                raise

    async def _listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections. uvicorn cannot set a timeout for TLS handshakes, whose default is a minute."""
        loop = asyncio.get_running_loop()
        protocol: Callable[[], asyncio.Protocol] = functools.partial(
            cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class),
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        tls: dict[str, Any] = {}
        if self.config.ssl is not None:
            tls = {"ssl": self.config.ssl, "ssl_handshake_timeout": self._handshake_timeout or None}
        self.servers = [
            await loop.create_server(protocol, sock=sock, backlog=self.config.backlog, **tls) for sock in sockets
        ]

    async def main_loop(self) -> None:
        """Tick once a second instead of uvicorn's ten times, and return at once when a shutdown begins."""
        while not await self.on_tick(0):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.handle.stop_begun.wait(), _TICK)

    async def on_tick(self, counter: int) -> bool:
        """Do uvicorn's housekeeping; True ends the main loop."""
        ended = await super().on_tick(counter) or self.handle.stopping
        if self._probes is not None:
            self._probes.tick(self.server_state.default_headers)
        return ended

    def end_keep_alive(self) -> None:
        """Let the next answer of each connection be its last, as it then says: clients that come back find another
        server, and few connections are left to be closed while a request is on its way."""
        self.config.timeout_keep_alive = 0  # of connections that are still to come
        for connection in self.server_state.connections:
            if isinstance(connection, HttpConnection):
                connection.end_keep_alive()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, drain, stop the model, run the lifespan's shutdown; see the module's docstring."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.graceful_timeout
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self._calls is not None:
            self._calls.drain(self.graceful_timeout)
        forced = loop.create_task(self.handle.force_stopped.wait())
        try:
            await self._drain(deadline, forced)
            await self._cut_off(forced=forced.done())
            if self._calls is not None:
                await self._calls.close()
            await self._stop_model(max(0.0, deadline - loop.time()), forced)
            if not forced.done():
                await self.lifespan.shutdown()
            else:  # the event loop's end cancels the lifespan, and uvicorn would log that with its traceback
                logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        finally:
            forced.cancel()
            if self._probes is not None:
                self._probes.close()

    async def _drain(self, deadline: float, forced: asyncio.Task[Any]) -> None:
        """Wait until every response is sent, the grace period is over, or a second signal arrives."""
        loop = asyncio.get_running_loop()
        tasks, connections = self.server_state.tasks, self.server_state.connections
        if tasks:
            _logger.info("Waiting up to %g s for %d running request(s)", self.graceful_timeout, len(tasks))
        notified = set(connections)
        while (tasks or connections) and not forced.done() and (left := deadline - loop.time()) > 0:
            for connection in set(connections) - notified:  # accepted just before the port was closed
                notified.add(connection)
                connection.shutdown()
            timeout = left if tasks else min(left, _FLUSH_POLL)
            await asyncio.wait({*tasks, forced}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def _cut_off(self, *, forced: bool) -> None:
        """Cancel requests that still run, then abort all connections. ``forced``: the log has their number already."""
        tasks = list(self.server_state.tasks)
        if tasks:
            if not forced:
                _logger.warning("Cancelling %d request(s) that did not end in time", len(tasks))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport | None = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    async def _stop_model(self, left: float, forced: asyncio.Task[Any]) -> None:
        """Await ``on_stop`` with the seconds ``left``; on a second signal again with 0."""
        if self._on_stop is None:
            return
        stopping = asyncio.ensure_future(self._on_stop(0.0 if forced.done() else left))
        if not forced.done():
            await asyncio.wait({stopping, forced}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                stopping.cancel()
                stopping = asyncio.ensure_future(self._on_stop(0.0))
        try:
            await stopping
        except Exception:
            _logger.exception("Stopping the model failed")


def run_server(
    app: ASGIApp,
    *,
    sockets: Sequence[socket.socket],
    uvicorn_kwargs: Mapping[str, Any],
    protocol: type[asyncio.Protocol],
    graceful_timeout: float,
    handshake_timeout: float = 0.0,
    lame_duck: Callable[[], float] = float,
    probes: ProbeListener | None = None,
    calls: CallListener | None = None,
    on_started: OnStarted | None = None,
    on_drain: Callable[[], None] | None = None,
    on_stop: OnStop | None = None,
    on_reload: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Serve ``app`` until a signal or ``ServerHandle.stop``; returns the process's exit code.

    Must be called on the main thread, without a running event loop.

    Args:
        app: the application inside its middleware stack.
        sockets: from :func:`drum_litestar.server.sockets.bind_sockets`; closed at the end.
        uvicorn_kwargs: for ``uvicorn.Config``; ``loop`` is ``uvloop`` or ``asyncio``, the default.
        protocol: from :func:`drum_litestar.server.http.connection.make_protocol`.
        graceful_timeout: seconds from the beginning of a shutdown in which running requests and the model may end.
        handshake_timeout: seconds in which a client must complete its TLS handshake; 0 is the event loop's own
            limit of a minute.
        lame_duck: seconds from a SIGTERM now to the beginning of the shutdown.
        probes: listens on a port of its own, to the end.
        calls: listens on a port of its own, and drains with the main one.
        on_started: awaited when the port is open, with the handle that can stop the server.
        on_drain: called when a shutdown begins, so that readiness answers 503.
        on_stop: awaited when the last response is sent, with the seconds left of the grace period; 0 is a force stop.
        on_reload: awaited on SIGHUP; without it the signal keeps its default action.

    Raises:
        StartupError: the application's lifespan failed to start.
    """
    arguments = {**uvicorn_kwargs, "http": protocol}
    kind = arguments.pop("loop", "asyncio")
    for ours in ("log_config", "timeout_graceful_shutdown"):
        arguments.pop(ours, None)
    for default in ("access_log", "server_header"):
        arguments.setdefault(default, False)
    config = uvicorn.Config(app, log_config=None, **arguments)

    async def serve() -> int:
        handle = ServerHandle(
            on_drain,
            running=lambda: len(server.server_state.tasks),
            grace=graceful_timeout,
            lame_duck=lame_duck,
            on_lame_duck=lambda: server.end_keep_alive(),
        )
        server = DrainingServer(
            config,
            handle=handle,
            graceful_timeout=graceful_timeout,
            handshake_timeout=handshake_timeout,
            probes=probes,
            calls=calls,
            on_started=on_started,
            on_stop=on_stop,
        )
        with stop_signals(handle, on_reload):
            await server.serve(sockets=list(sockets))
        return handle.exit_code

    try:
        return run(serve(), kind)
    finally:
        for sock in sockets:
            sock.close()
