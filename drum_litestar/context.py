"""Life cycle of the HTTP process or of a model worker, with the callbacks that user code registers in it.

::

    start ──▶ running ──▶ stop ──▶ cleanup
              │           │        └─ cleanup callbacks, highest order first (a stack)
              │           ├─ stop callbacks, lowest order first
              │           └─ registered tasks and threads are joined
              └─ defer_stop, defer_cleanup, add_task, add_thread
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    Callback = Callable[[], Awaitable[Any] | Any]

JOIN_TIMEOUT: Final = 10.0
"""Seconds within which all registered threads and tasks together must end."""

CALLBACK_TIMEOUT: Final = 30.0
"""Timeout of one asynchronous callback in seconds. A synchronous one cannot be interrupted."""


class WorkerStop(BaseException):
    """Raised in a worker on SIGTERM, to leave user code: nobody waits for its answer. A BaseException, so that
    ``except Exception`` does not catch it."""


class WorkerContext:
    """Registry of the callbacks, threads and tasks that end with the process.

    The HTTP process, which has an event loop, uses ``await aclose()``; a worker uses ``close()``. Callbacks may be
    synchronous (run on the closing thread) or return an awaitable in both. Registering is safe from any thread.
    """

    def __init__(
        self, name: str, *, join_timeout: float = JOIN_TIMEOUT, callback_timeout: float = CALLBACK_TIMEOUT
    ) -> None:
        """``name`` appears in log lines."""
        self.name = name
        self.stopping = threading.Event()
        """Set before the first stop callback runs: background threads can wait on it instead of sleeping."""
        self._join_timeout = join_timeout
        self._callback_timeout = callback_timeout
        self._guard = threading.Lock()
        self._sequence = itertools.count()
        self._stops: list[tuple[int, int, Callback]] = []
        self._cleanups: list[tuple[int, int, Callback]] = []
        self._threads: list[threading.Thread] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started = False
        self._closed = False

    @property
    def running(self) -> bool:
        """Whether ``start`` was called and closing has not begun."""
        return self._started and not self.stopping.is_set()

    def start(self) -> None:
        """Enter the running state. Raises RuntimeError for a context that has ended."""
        if self.stopping.is_set():
            raise RuntimeError(f"the context '{self.name}' has ended")
        self._started = True

    def defer_stop(self, callback: Callback, order: int = 0) -> None:
        """Run ``callback`` when the process stops: lower orders first, equal ones as they were registered."""
        self._defer(self._stops, order, callback)

    def defer_cleanup(self, callback: Callback, order: int = 0) -> None:
        """Run ``callback`` after everything has stopped: higher orders first, equal ones in reverse order."""
        self._defer(self._cleanups, order, callback)

    def add_thread(self, thread: threading.Thread) -> threading.Thread:
        """Join ``thread`` at stop; its function should watch :attr:`stopping`. Returns it."""
        with self._guard:
            self._refuse_when_closed()
            self._threads.append(thread)
        return thread

    def add_task(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        """Cancel ``task`` at stop and wait for it; a finished task is removed. Returns it.

        For contexts that close in the task's own loop (``aclose``).
        """
        with self._guard:
            self._refuse_when_closed()
            self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Stop and clean up from a thread without a running loop; a new loop runs asynchronous callbacks."""
        asyncio.run(self.aclose())

    async def aclose(self) -> None:
        """Stop, join, clean up. Idempotent. Never raises for a callback: failures are logged.

        When the caller is cancelled, the remaining callbacks still run, and the cancellation is raised at the end.
        """
        if self.stopping.is_set():
            return
        self.stopping.set()
        cancelled = [
            await self._drain(self._stops, "stop", highest_first=False),
            await self._join(),
            await self._drain(self._cleanups, "cleanup", highest_first=True),
        ]
        with self._guard:
            self._closed = True
        if any(cancelled):
            raise asyncio.CancelledError

    def _defer(self, callbacks: list[tuple[int, int, Callback]], order: int, callback: Callback) -> None:
        with self._guard:
            self._refuse_when_closed()
            callbacks.append((order, next(self._sequence), callback))

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise RuntimeError(f"the context '{self.name}' has ended")

    async def _drain(self, callbacks: list[tuple[int, int, Callback]], what: str, *, highest_first: bool) -> bool:
        """Run and remove callbacks, including ones registered while others run. True if the caller was cancelled."""
        cancelled = False
        while callbacks:
            with self._guard:
                entry = (max if highest_first else min)(callbacks, key=lambda entry: entry[:2])
                callbacks.remove(entry)
            cancelled |= await self._run(entry[2], what)
        return cancelled

    async def _run(self, callback: Callback, what: str) -> bool:
        """True if the caller was cancelled while the callback ran."""
        try:
            result = callback()
            if not inspect.isawaitable(result):
                return False
            task = asyncio.ensure_future(result)
        except (Exception, SystemExit):
            logger.exception("A %s callback of '%s' failed: %r", what, self.name, callback)
            return False
        cancelled = await _wait({task}, self._callback_timeout)
        if not task.done():
            logger.error(
                "A %s callback of '%s' did not end in %g s: %r", what, self.name, self._callback_timeout, callback
            )
            cancelled |= await _cancel({task})
        elif task.cancelled():
            logger.error("A %s callback of '%s' was cancelled: %r", what, self.name, callback)
        elif (error := task.exception()) is not None:
            logger.error("A %s callback of '%s' failed: %r", what, self.name, callback, exc_info=error)
        return cancelled

    async def _join(self) -> bool:
        """Cancel tasks, join threads. True if the caller was cancelled."""
        deadline = time.monotonic() + self._join_timeout
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        cancelled = await _cancel(tasks, self._join_timeout)
        for task in tasks:
            if not task.done():
                logger.error("A task of '%s' did not end: %r", self.name, task)
            elif not task.cancelled() and (error := task.exception()) is not None:
                logger.error("A task of '%s' failed: %r", self.name, task, exc_info=error)
        threads = [thread for thread in self._threads if thread.is_alive() and thread is not threading.current_thread()]
        if threads:
            # Not asyncio.to_thread, which a model worker's Python 3.8 lacks.
            joining = asyncio.get_running_loop().run_in_executor(None, _join_threads, threads, deadline)
            while not joining.done():
                cancelled |= await _wait({joining}, None)
        for thread in threads:
            if thread.is_alive():
                logger.error("A thread of '%s' did not end: %r", self.name, thread)
        return cancelled


async def _wait(futures: set[asyncio.Future[Any]], timeout: float | None) -> bool:
    """Wait for ``futures``. True if the caller was cancelled, which leaves the futures running."""
    if not futures:
        return False
    try:
        await asyncio.wait(futures, timeout=timeout)
    except asyncio.CancelledError:
        return True
    return False


async def _cancel(futures: set[Any], timeout: float = 1.0) -> bool:
    for future in futures:
        future.cancel()
    return await _wait(futures, timeout)


def _join_threads(threads: list[threading.Thread], deadline: float) -> None:
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


class StdoutFlusher:
    """Flushes stdout once, ``delay`` seconds after the last call ended (contract, 5.5).

    Hook output to a pipe is block-buffered; without the flush, text of ``print`` would not appear. The thread waits on
    an event, it does not poll.
    """

    def __init__(self, delay: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        """``delay``: seconds without a call before the flush; ``clock``: monotonic seconds."""
        self._delay = delay
        self._clock = clock
        self._last = 0.0
        self._armed = threading.Event()
        self._closing = threading.Event()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def touch(self) -> None:
        """Record the end of a call. Safe from any thread; only reads the clock while a flush is scheduled."""
        self._last = self._clock()
        if not self._armed.is_set():
            self._arm()

    def close(self) -> None:
        """Stop the thread and flush."""
        with self._guard:  # another thread may be starting it
            self._closing.set()
            thread = self._thread
        self._armed.set()
        if thread is not None:
            thread.join()
        _flush_stdout()

    def _arm(self) -> None:
        with self._guard:
            if self._thread is None and not self._closing.is_set():
                thread = threading.Thread(target=self._run, name="stdout-flusher", daemon=True)
                thread.start()
                self._thread = thread
        self._armed.set()

    def _run(self) -> None:
        while self._armed.wait() and not self._closing.is_set():
            while (idle_in := self._last + self._delay - self._clock()) > 0:
                if self._closing.wait(idle_in):
                    return
            self._armed.clear()  # before the flush: a call that ends during it schedules the next one
            if self._closing.is_set():  # close() sets the event too
                return
            _flush_stdout()


def _flush_stdout() -> None:
    """Flush the current ``sys.stdout``, which user code may have replaced or closed."""
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        logger.debug("Flushing stdout failed", exc_info=True)
