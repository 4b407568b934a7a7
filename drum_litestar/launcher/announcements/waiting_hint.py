"""Hint at overlapping calls: calls of a model wait, one at a time, while others queue behind them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import psutil

from drum_litestar.documentation import CALLS_AT_ONCE
from drum_litestar.execution.executor import Executor
from drum_litestar.execution.observer import NullObserver

CALLS: Final = 50
"""Calls of each worker between two looks at the processor time of the workers."""
SHORTEST: Final = 0.01
"""Seconds of a call below which overlapping is not worth a hint."""
MOST_BUSY: Final = 0.2
"""Share of the calls' time in which the workers compute, from which on the calls do not count as waiting."""
MOST_ADVISED: Final = 64
"""Most threads that the hint names."""

_log = logging.getLogger(__name__)


class WaitingHint(NullObserver):
    """An observer that warns once. For executors of worker processes whose calls run one at a time by default; not of
    models that more threads would not help (``ModelCard.may_wait``).

    Nothing is measured while calls are short or none queues; else one look at ``/proc`` in :data:`CALLS` calls.
    """

    def __init__(self, workers: int, executor: Callable[[], Executor]) -> None:
        """``executor`` is asked only when calls have ended."""
        self._workers = workers
        self._executor = executor
        self._said = False
        self._busy: dict[int, float | None] = {}
        """:func:`busy_seconds` of each worker when the present calls began; empty when that was not asked."""
        self._reset()

    def _reset(self) -> None:
        self._calls = self._long = self._dispatched = self._queued = 0
        self._call_seconds = self._queue_seconds = 0.0

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None:
        self._dispatched += 1
        self._queued += seconds > 0
        self._queue_seconds += seconds

    def model_seconds(self, seconds: float) -> None:
        self._calls += 1
        self._long += seconds >= SHORTEST
        self._call_seconds += seconds
        if self._calls >= CALLS * self._workers:
            if not self._said:
                self._judge()
            self._reset()

    def _judge(self) -> None:
        executor, before = self._executor(), self._busy
        self._busy = {}
        if executor.card is None or executor.card.concurrency > 1 or not executor.card.may_wait:
            return
        if 2 * self._long < self._calls or 2 * self._queued < max(1, self._dispatched):
            return
        self._busy = {pid: busy_seconds(pid) for pid in executor.pids()}
        if before.keys() != self._busy.keys():
            return
        busy = 0.0
        for pid, after in self._busy.items():
            begin = before[pid]
            if begin is None or after is None:
                return
            busy += after - begin
        if busy < MOST_BUSY * self._call_seconds:
            self._said = True
            self._warn(busy)

    def _warn(self, busy: float) -> None:
        seconds, wait = self._call_seconds / self._calls, self._queue_seconds / self._dispatched
        _log.warning(
            "Calls of the model wait rather than compute, one at a time in each worker, while others queue: the last "
            "%d took %.0f ms each and computed for %.0f %% of that; before, %d of %d requests queued, %.0f ms on "
            "average. If the hooks may run in several threads at once, set DRUM_FASTAPI_EXECUTOR_WORKERS=%d; else make "
            "them async def, or raise CUSTOM_MODEL_WORKERS: %s",
            *(self._calls, 1000 * seconds, 100 * busy / self._call_seconds),
            *(self._queued, self._dispatched, 1000 * wait),
            *(max(2, min(MOST_ADVISED, round(1 + wait / seconds))), CALLS_AT_ONCE),
        )


def busy_seconds(pid: int) -> float | None:
    """Seconds in which a process and its descendants have computed, and their main threads could not for want of a
    processor: on a busy machine, or beyond the container's quota, a model that computes must not look as if it waited.

    None where that is not known: on systems other than Linux, or when the process has ended.
    """
    try:
        process = psutil.Process(pid)
        seconds = _seconds(process)
        for child in process.children(recursive=True):  # what has ended, its parent counts
            with contextlib.suppress(OSError, ValueError, psutil.Error):
                seconds += _seconds(child)
    except (OSError, ValueError, psutil.Error):
        return None
    return seconds


def _seconds(process: psutil.Process) -> float:
    """Of one process and of its ended children. Raises ValueError where the kernel does not count."""
    computed, delayed = map(int, Path(f"/proc/{process.pid}/schedstat").read_text().split()[:2])
    if not computed:
        raise ValueError("the kernel does not count")
    return sum(process.cpu_times()[:4]) + delayed / 1e9
