"""Triggers of a shutdown: signals, and the handle with which the process stops its own server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from drum_litestar.observability.logs.log_format import LIFECYCLE_LOGGER

FORCE_STOP_EXIT_CODE: Final = 130
"""Exit code after a second signal: what a shell reports for a process ended by SIGINT."""

FORCE_STOP_GRACE: Final = 3.0
"""Seconds after a second signal at which the process exits, even if the model's shutdown has not ended."""

_logger: Final = logging.getLogger(__name__)
_lifecycle: Final = logging.getLogger(LIFECYCLE_LOGGER)


class ServerHandle:
    """Stops a running server. Not thread-safe: call its methods on the event loop's thread."""

    def __init__(
        self,
        on_drain: Callable[[], None] | None = None,
        *,
        running: Callable[[], int] = int,
        grace: float = 0.0,
        lame_duck: Callable[[], float] = float,
        on_lame_duck: Callable[[], None] | None = None,
    ) -> None:
        """``on_drain`` is called once, when the first stop begins. ``running`` counts the requests that a stop waits
        for, up to ``grace`` seconds. ``lame_duck``: seconds for which a SIGTERM now announces the stop before it
        begins; ``on_lame_duck`` is called when it does."""
        self.exit_code = 0
        self.lame_duck = False
        """Whether the stop has been announced: readiness says 503, requests are answered."""
        self._running = running
        self._grace = grace
        self._lame_duck_seconds = lame_duck
        self._on_lame_duck = on_lame_duck
        self.stop_begun = asyncio.Event()
        self.force_stopped = asyncio.Event()
        self._on_drain = on_drain

    @property
    def stopping(self) -> bool:
        """Whether a shutdown has begun."""
        return self.stop_begun.is_set()

    def stop(self, exit_code: int = 0) -> None:
        """Begin a graceful shutdown that ends with ``exit_code``. Later calls change nothing."""
        if self.stopping:
            return
        self.stop_begun.set()
        self.exit_code = exit_code
        if self._on_drain is not None:
            self._on_drain()

    def begin_lame_duck(self) -> float:
        """Announce the stop, which begins by itself after the seconds that are returned. 0 where that is not wanted, or
        no more to be done."""
        if self.stopping or self.lame_duck or not (seconds := self._lame_duck_seconds()):
            return 0.0
        self.lame_duck = True
        if self._on_lame_duck is not None:
            self._on_lame_duck()
        asyncio.get_running_loop().call_later(seconds, self._end_lame_duck)
        return seconds

    def _end_lame_duck(self) -> None:
        if not self.stopping:
            self._stop_and_say("lame duck has ended", "another signal")

    def force_stop(self) -> None:
        """Stop without waiting for running requests, with exit code 130. Idempotent."""
        self.stop()
        if self.force_stopped.is_set():
            return
        self.exit_code = FORCE_STOP_EXIT_CODE
        self.force_stopped.set()
        asyncio.get_running_loop().call_later(FORCE_STOP_GRACE, os._exit, FORCE_STOP_EXIT_CODE)

    def handle_signal(self, number: int) -> None:
        """Stop gracefully on the first signal, at once on another one, and say what is waited for, or given up.

        A first SIGTERM begins the lame duck instead, if there is one, and the next signal ends that. Other signals
        come from people, who do not want to wait.
        """
        name = signal.Signals(number).name
        running = self._running()
        if self.force_stopped.is_set():
            return
        if number == signal.SIGTERM and (seconds := self.begin_lame_duck()):
            _lifecycle.info(
                "not ready any more (%s): requests are answered for %g s, unless another signal ends that",
                name,
                seconds,
            )
            return
        if self.stopping:
            cut_off = f"; {_requests(running)} cut off" if running else ""
            _lifecycle.warning("stopping at once (%s again)%s", name, cut_off)
            self.force_stop()
            return
        self._stop_and_say(name, "Ctrl+C again" if number == signal.SIGINT else f"another {name}")

    def _stop_and_say(self, why: str, again: str) -> None:
        running = self._running()
        waits = f", up to {self._grace:g} s" if running else ""
        _lifecycle.info("stopping (%s): %s under way%s; %s to force", why, _requests(running), waits, again)
        self.stop()


def _requests(count: int) -> str:
    return f"{count or 'no'} request{'s' if count > 1 else ''}"


@contextlib.contextmanager
def stop_signals(handle: ServerHandle, on_reload: Callable[[], Awaitable[None]] | None) -> Iterator[None]:
    """Route SIGTERM, SIGINT and SIGQUIT to ``handle``, and SIGHUP to ``on_reload`` if given, until the block ends."""
    loop = asyncio.get_running_loop()
    installed: list[int] = []
    reloads: set[asyncio.Future[None]] = set()

    async def reload(action: Callable[[], Awaitable[None]]) -> None:
        try:
            await action()
        except Exception:
            _logger.exception("Reloading the model failed; the old one goes on")

    def handle_hangup() -> None:
        if on_reload is not None and not handle.stopping:
            _logger.info("SIGHUP: reloading the model")
            task = asyncio.ensure_future(reload(on_reload))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

    def install(number: int, callback: Callable[..., None], *args: Any) -> None:
        loop.add_signal_handler(number, callback, *args)
        installed.append(number)

    for stop_signal in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        install(stop_signal, handle.handle_signal, stop_signal)
    if on_reload is not None:
        install(signal.SIGHUP, handle_hangup)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
