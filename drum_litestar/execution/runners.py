"""Where the calls of a model run: in compute threads, or in the thread of its event loop."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from drum_litestar.predictors.protocol import CallLoop


class ComputeThreads:
    """Runs jobs on ``count`` daemon threads, first in first out.

    Daemon threads, unlike those of ``concurrent.futures``, do not hold up the exit of the process when a hook never
    returns. Jobs must not raise.
    """

    def __init__(self, count: int, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._ends: SimpleQueue[None] = SimpleQueue()
        self._name = name
        self._threads: list[threading.Thread] = []
        self.grow(count)

    def grow(self, count: int) -> None:
        """Add threads until there are ``count``."""
        while len(self._threads) < count:
            thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def wait(self, future: Future[Any]) -> Any:
        """The result of ``future``, or its exception; called in a job."""
        return future.result()

    def stop(self) -> None:
        """Let each thread end after the jobs before this call; does not wait."""
        for _ in self._threads:
            self._jobs.put(None)

    def join(self, timeout: float | None = None) -> None:
        """Stop, and wait until the last job has ended, or ``timeout`` seconds have passed.

        A signal handler may raise out of it, and it may be called again then. (``Thread.join`` does not allow that: up
        to Python 3.12 it takes the interrupted thread for ended.)
        """
        self.stop()
        end = None if timeout is None else time.monotonic() + timeout
        while self._threads:
            try:
                self._ends.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
            except Empty:
                return
            self._threads.pop()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # a waiting thread must not keep the last call's body alive
        self._ends.put(None)


class LoopRunner:
    """Runs jobs in the thread of a model's event loop, as many at once as there are. Jobs must not raise."""

    def __init__(self, loop: CallLoop) -> None:
        self._loop = loop
        self._running = 0
        """Counted in the loop's thread only."""
        self._leaving = False
        self._ended = threading.Event()

    def submit(self, job: Callable[[], None]) -> None:
        self._loop.submit(functools.partial(self._run, job))

    def wait(self, future: Future[Any]) -> Any:
        """The result of ``future``, or its exception; called in a job. Others run meanwhile."""
        return self._loop.wait(future)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the last job has ended, or ``timeout`` seconds have passed.

        A signal handler may raise out of it, and it may be called again then.
        """
        self._loop.submit(self._leave)
        self._ended.wait(timeout)

    def _run(self, job: Callable[[], None]) -> None:
        self._running += 1
        job()
        self._running -= 1
        self._check()

    def _leave(self) -> None:
        self._leaving = True
        self._check()

    def _check(self) -> None:
        if self._leaving and not self._running:
            self._ended.set()
