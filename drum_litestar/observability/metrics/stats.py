"""Report of ``/stats/``: DRUM's keys (contract, 3.14), the executor's counters, all processes of the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psutil

from drum_litestar.messages.server_messages import MemoryUsage, ProcessUsage, RequestDurations, Stats, TimeInfo
from drum_litestar.observability.metrics.resources import memory_status
from drum_litestar.settings.masking import mask_arguments, masked

_MIB = 1024 * 1024


class RequestTimes:
    """Request durations since the last :meth:`take`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used = False
        self._count = 0
        self._total = self._least = self._most = 0.0

    def observe(self, seconds: float) -> None:
        """Add one duration."""
        with self._lock:
            self._least = min(self._least, seconds) if self._count else seconds
            self._most = max(self._most, seconds)
            self._total += seconds
            self._count += 1
            self._used = True

    def take(self) -> RequestDurations:
        """Return average, maximum, minimum and total in seconds to 3 places, and reset.

        Without observations all are None (contract, Q-10), but ``total`` is 0.0 once there has been one.
        """
        with self._lock:
            count, total, least, most = self._count, self._total, self._least, self._most
            self._count, self._total, self._least, self._most = 0, 0.0, 0.0, 0.0
            used = self._used
        if not count:
            return RequestDurations(None, None, None, 0.0 if used else None)
        return RequestDurations(round(total / count, 3), round(most, 3), round(least, 3), round(total, 3))


class StatsReporter:
    """Builds the answer of ``/stats/``.

    Processes are read on one separate thread, because psutil takes milliseconds for each: too long for the event loop
    and for the default thread pool. Concurrent reports are serialized there.
    """

    def __init__(
        self, pids: Callable[[], list[int]], executor_stats: Callable[[], dict[str, Any]], show_perf: bool = False
    ) -> None:
        """``pids`` gives the model workers; ``show_perf`` (``--show-perf``) turns on ``time_info``."""
        self._pids = pids
        self._executor_stats = executor_stats
        self._show_perf = show_perf
        self._times = RequestTimes()
        self._processes: dict[int, psutil.Process] = {}
        self._thread: ThreadPoolExecutor | None = None

    def observe(self, seconds: float) -> None:
        """Count one prediction request, failed ones too."""
        if self._show_perf:
            self._times.observe(seconds)

    async def report(self) -> dict[str, Any]:
        """Return the object to send: sizes in MiB, times in seconds since the previous report."""
        roots = [os.getpid(), *self._pids()]
        executor = self._executor_stats()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="drum-stats")
        measured = await asyncio.get_running_loop().run_in_executor(self._thread, self._measure, roots)
        processes, memory = measured
        report = Stats(processes, memory, TimeInfo(self._times.take()))
        return {**executor, **msgspec.to_builtins(report)}

    def close(self) -> None:
        """End the reader thread. A later report starts a new one."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def _measure(self, roots: list[int]) -> tuple[list[ProcessUsage], MemoryUsage]:
        self._refresh(roots)
        processes = [entry for entry in map(_describe, self._processes.values()) if entry is not None]
        memory = memory_status()
        return processes, MemoryUsage(
            avail=memory.available / _MIB,
            container_limit=_mib(memory.limit),
            container_max_used=_mib(memory.max_used),
            container_used=_mib(memory.used),
            drum_rss=sum(entry.mem for entry in processes),
            free=memory.free / _MIB,
            total=memory.total / _MIB,
        )

    def _refresh(self, roots: list[int]) -> None:
        """Update the process tree below ``roots``. Known processes are kept, because psutil's ``cpu_percent`` is a
        difference between two readings of the same object."""
        tree: dict[int, psutil.Process] = {}
        for pid in roots:
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(pid)
                tree[pid] = root
                tree.update((child.pid, child) for child in root.children(recursive=True))
        known = self._processes
        # Process objects are equal only when pid *and* start time are, so a reused pid is a new process.
        self._processes = {pid: known[pid] if known.get(pid) == process else process for pid, process in tree.items()}


def _describe(process: psutil.Process) -> ProcessUsage | None:
    """Return DRUM's entry of a process, with secrets masked; None when it has just ended."""
    try:
        with process.oneshot():
            return ProcessUsage(
                cmdline=[masked(word) for word in mask_arguments(process.cmdline())],
                cpu_percent=process.cpu_percent(),
                mem=process.memory_info().rss / _MIB,
                pid=process.pid,
            )
    except psutil.Error:
        return None


def _mib(size: int | None) -> float | None:
    return None if size is None else size / _MIB
