"""Who may stop the server, and how: signals from outside, a handle from inside."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

EXIT_AT_ONCE: Final = 130
"""Exit code after a second signal: what a shell reports for a process ended by SIGINT."""

_ABORT_SECONDS: Final = 3.0
"""After a second signal nothing, not even the model's shutdown, may hold the process up for longer."""

_logger: Final = logging.getLogger(__name__)


class ServerHandle:
    """A running server, for whoever must end it from inside. To be used on the event loop's thread."""

    def __init__(self, on_drain: Callable[[], None] | None = None) -> None:
        self.exit_code = 0
        self.stop_begun = asyncio.Event()
        self.aborted = asyncio.Event()
        self._on_drain = on_drain

    @property
    def stopping(self) -> bool:
        return self.stop_begun.is_set()

    def stop(self, exit_code: int = 0) -> None:
        """Begin a graceful stop that ends with ``exit_code``. Later calls change nothing."""
        if self.stopping:
            return
        self.stop_begun.set()
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


@contextlib.contextmanager
def stop_signals(handle: ServerHandle, on_reload: Callable[[], Awaitable[None]] | None) -> Iterator[None]:
    """While open, SIGTERM, SIGINT and SIGQUIT go to ``handle``, and SIGHUP to ``on_reload`` when there is one."""
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
