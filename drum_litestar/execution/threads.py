"""A fixed set of compute threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue


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
