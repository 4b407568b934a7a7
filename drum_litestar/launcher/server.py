"""uvicorn run from code: on sockets bound beforehand, with our own signals, drain and exit code.

What uvicorn does otherwise, and why that is not enough: after a clean shutdown it raises a captured SIGTERM again, so
that the exit code says "killed"; it waits for tasks by polling, and without end for a client that does not read; a
second SIGTERM does nothing; a failing start ends in ``sys.exit`` deep inside.

Course of a stop::

    first signal, or handle.stop() ─▶ on_drain() ─▶ close listeners and idle connections
        ─▶ running requests end (grace) ─▶ on_stop(seconds left) ─▶ lifespan shutdown ─▶ exit code
    second signal ─▶ requests cancelled ─▶ on_stop(0) ─▶ 130
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import uvicorn

from drum_litestar.errors import StartupError
from drum_litestar.launcher.event_loop import run
from drum_litestar.launcher.sockets import describe
from drum_litestar.middleware.asgi import ASGIApp

EXIT_AT_ONCE: Final = 130
"""Exit code after a second signal: what a shell reports for a process ended by SIGINT."""

_ABORT_SECONDS: Final = 3.0
"""After a second signal nothing, not even the model's shutdown, may hold the process up for longer."""

_FLUSH_POLL: Final = 0.05
"""Only while stopping: a transport that still flushes its last bytes has no event to wait for."""

_logger: Final = logging.getLogger(__name__)

OnStarted = Callable[["ServerHandle"], Awaitable[None]]
OnStop = Callable[[float], Awaitable[None]]


class ServerHandle:
    """A running server, for whoever must end it from inside. To be used on the event loop's thread."""

    def __init__(self, on_drain: Callable[[], None] | None = None) -> None:
        self.exit_code = 0
        self.stopping = False
        self.aborted = asyncio.Event()
        self._on_drain = on_drain

    def stop(self, exit_code: int = 0) -> None:
        """Begin a graceful stop that ends with ``exit_code``. Later calls change nothing."""
        if self.stopping:
            return
        self.stopping = True
        self.exit_code = exit_code
        if self._on_drain is not None:
            self._on_drain()

    def abort(self) -> None:
        """Stop at once, with exit code 130."""
        self.stop()
        if self.aborted.is_set():
            return
        self.exit_code = EXIT_AT_ONCE
        self.aborted.set()
        asyncio.get_running_loop().call_later(_ABORT_SECONDS, os._exit, EXIT_AT_ONCE)

    def signalled(self, number: int) -> None:
        """A first signal stops gracefully, another one at once."""
        name = signal.Signals(number).name
        if self.stopping:
            _logger.warning("%s again: stopping at once", name)
            self.abort()
        else:
            _logger.info("%s: stopping", name)
            self.stop()


class DrainingServer(uvicorn.Server):
    """uvicorn's server with our stop. ``uvicorn.Config`` must name the application object, not an import string."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        handle: ServerHandle,
        grace: float,
        on_started: OnStarted | None = None,
        on_stop: OnStop | None = None,
    ) -> None:
        super().__init__(config)
        self.handle = handle
        self.grace = grace
        self._on_started = on_started
        self._on_stop = on_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # run_server has its own handlers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        with contextlib.suppress(SystemExit):  # how uvicorn ends a failed start; older versions return
            await super().startup(sockets)
        if self.lifespan.should_exit:
            raise StartupError("The application failed to start; the log has the reason")
        _logger.info("Listening on %s", describe(sockets or (), "https" if self.config.is_ssl else "http"))
        if self._on_started is not None:
            try:
                await self._on_started(self.handle)
            except BaseException:
                await self.shutdown(sockets)
                raise

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self.handle.stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.grace
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        aborted = loop.create_task(self.handle.aborted.wait())
        try:
            await self._drain(deadline, aborted)
            await self._cut_off()
            await self._stop_model(max(0.0, deadline - loop.time()), aborted)
            if not aborted.done():
                await self.lifespan.shutdown()
        finally:
            aborted.cancel()

    async def _drain(self, deadline: float, aborted: asyncio.Task[Any]) -> None:
        """Return when every response is out, the grace period is over, or a second signal has come."""
        loop = asyncio.get_running_loop()
        tasks, connections = self.server_state.tasks, self.server_state.connections
        if tasks:
            _logger.info("Waiting up to %g s for %d running request(s)", self.grace, len(tasks))
        while (tasks or connections) and not aborted.done() and (left := deadline - loop.time()) > 0:
            timeout = left if tasks else min(left, _FLUSH_POLL)
            await asyncio.wait({*tasks, aborted}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def _cut_off(self) -> None:
        tasks = list(self.server_state.tasks)
        if tasks:
            _logger.warning("Cancelling %d request(s) that did not end in time", len(tasks))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport | None = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    async def _stop_model(self, left: float, aborted: asyncio.Task[Any]) -> None:
        if self._on_stop is None:
            return
        stopping = asyncio.ensure_future(self._on_stop(0.0 if aborted.done() else left))
        if not aborted.done():
            await asyncio.wait({stopping, aborted}, return_when=asyncio.FIRST_COMPLETED)
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
    grace: float,
    on_started: OnStarted | None = None,
    on_drain: Callable[[], None] | None = None,
    on_stop: OnStop | None = None,
    on_reload: Callable[[], Awaitable[None]] | None = None,
) -> int:
    """Serve ``app`` until a signal or ``ServerHandle.stop``; returns the process's exit code.

    To be called on the main thread, without a running event loop.

    Args:
        app: the application inside its middleware stack.
        sockets: from :func:`drum_litestar.launcher.sockets.bind_sockets`; closed at the end.
        uvicorn_kwargs: for ``uvicorn.Config``; ``loop`` is ``uvloop``, ``asyncio`` or ``auto``.
        protocol: from :func:`drum_litestar.launcher.protocol.make_protocol`.
        grace: seconds that running requests and the model get together once a stop has begun.
        on_started: awaited when the port is open, with the handle that can stop the server.
        on_drain: called at the very beginning of a stop: readiness goes to 503.
        on_stop: awaited when the last response is out, with the seconds left of the grace period; 0 is "kill".
        on_reload: what SIGHUP does; without it the signal keeps its default action.

    Raises:
        StartupError: the application's lifespan failed to start.
    """
    arguments = {**uvicorn_kwargs, "http": protocol}
    kind = arguments.pop("loop", "auto")
    for ours in ("log_config", "timeout_graceful_shutdown"):
        arguments.pop(ours, None)
    for default in ("access_log", "server_header"):
        arguments.setdefault(default, False)
    config = uvicorn.Config(app, log_config=None, **arguments)

    async def serve() -> int:
        handle = ServerHandle(on_drain)
        with _signals(handle, on_reload):
            server = DrainingServer(config, handle=handle, grace=grace, on_started=on_started, on_stop=on_stop)
            await server.serve(sockets=list(sockets))
        return handle.exit_code

    try:
        return run(serve(), kind)
    finally:
        for sock in sockets:
            sock.close()


@contextlib.contextmanager
def _signals(handle: ServerHandle, on_reload: Callable[[], Awaitable[None]] | None) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    taken: list[int] = []
    reloads: set[asyncio.Future[None]] = set()

    async def reload(action: Callable[[], Awaitable[None]]) -> None:
        try:
            await action()
        except Exception:
            _logger.exception("Reloading the model failed; the old one goes on")

    def hang_up() -> None:
        if on_reload is not None and not handle.stopping:
            _logger.info("SIGHUP: reloading the model")
            task = asyncio.ensure_future(reload(on_reload))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

    def take(number: int, callback: Callable[..., None], *args: Any) -> None:
        loop.add_signal_handler(number, callback, *args)
        taken.append(number)

    for stop_signal in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        take(stop_signal, handle.signalled, stop_signal)
    if on_reload is not None:
        take(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
