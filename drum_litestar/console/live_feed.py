"""Live figures once a second, as server-sent events. Nothing is measured while nobody looks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import msgspec
import psutil

from drum_litestar.console.event_log import EventLog
from drum_litestar.console.request_log import RequestLog
from drum_litestar.execution.executor import Executor, WorkerStatus
from drum_litestar.predictors.protocol import StreamHead

INTERVAL: Final = 1.0
"""Seconds from one sample to the next."""


class Sample(msgspec.Struct, frozen=True):
    """Figures of one interval; what is counted is counted from the server's start."""

    at: float
    """Seconds since the epoch."""
    seconds: float
    """Length of the interval; 0 for the first sample of a viewer, which has no times."""
    state: str
    """Of the executor."""
    requests: int
    latency: tuple[float, ...]
    """Median, 95th and 99th percentile in seconds of the requests that ended in the interval; empty without any."""
    queue: int
    queue_limit: int
    busy: int
    slots: int
    errors: dict[str, int]
    """By status."""
    refused: dict[str, int]
    """By reason; these requests are among :attr:`errors`."""
    memory: dict[str, int]
    """Resident bytes by process."""
    restarts: dict[str, int]
    """By cause."""
    workers: list[WorkerStatus]
    faults: int
    events: int


class LiveFeed:
    """Measures while there are viewers, and hands each sample to all of them. A viewer that is slow misses some."""

    def __init__(self, requests: RequestLog, events: EventLog, refused: Callable[[], dict[str, int]]) -> None:
        self._requests = requests
        self._events = events
        self._refused = refused
        self._next: asyncio.Future[bytes | None] | None = None
        """The frame to come; None while nobody looks."""
        self._viewers = 0
        self._ticker: asyncio.Task[None] | None = None
        self._closed = False

    def open(self, executor: Executor) -> LiveStream:
        """A stream for one more viewer."""
        return LiveStream(self._frames(executor))

    def close(self) -> None:
        """End all streams: the server stops, and would wait for them."""
        self._closed = True
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    async def _frames(self, executor: Executor) -> AsyncIterator[bytes]:
        self._viewers += 1
        try:
            if self._ticker is None or self._ticker.done():
                self._next = asyncio.get_running_loop().create_future()
                self._requests.take_times()
                self._ticker = asyncio.create_task(self._tick(executor))
            yield _frame(await self._sample(executor, 0.0, ()))
            while not self._closed and self._next is not None:
                frame = await asyncio.shield(self._next)
                if frame is None:
                    return
                yield frame
        finally:
            self._viewers -= 1
            if not self._viewers and self._ticker is not None:
                self._ticker.cancel()
                self._ticker, self._next = None, None
                self._requests.stop_times()

    async def _tick(self, executor: Executor) -> None:
        before = time.monotonic()
        while not self._closed:
            await asyncio.sleep(INTERVAL)
            now = time.monotonic()
            try:
                frame = _frame(await self._sample(executor, now - before, self._requests.take_times()))
            except Exception as error:  # each stream breaks off with it, and the next viewer starts anew
                if self._next is not None and not self._next.done():
                    self._next.set_exception(error)
                return
            before = now
            due, self._next = self._next, asyncio.get_running_loop().create_future()
            if due is not None and not due.done():
                due.set_result(frame)

    async def _sample(self, executor: Executor, seconds: float, times: Sequence[float]) -> Sample:
        stats, workers = executor.stats(), executor.workers()
        latency, memory = await asyncio.to_thread(_measured, times, workers)
        return Sample(
            at=time.time(),
            seconds=seconds,
            state=executor.state,
            requests=self._requests.count,
            latency=latency,
            queue=stats["executor_queue_depth"],
            queue_limit=stats["executor_max_queue"],
            busy=sum(worker.running for worker in workers),
            slots=stats["executor_slots"],
            errors=dict(self._requests.errors),
            refused=self._refused(),
            memory=memory,
            restarts=dict(stats.get("executor_restarts") or {}),
            workers=workers,
            faults=self._events.fault_count,
            events=self._events.event_count,
        )


class LiveStream:
    """One viewer's stream. Implements :class:`drum_litestar.execution.executor.ReplyStream`."""

    def __init__(self, frames: Any) -> None:
        self.head = StreamHead()
        self._frames = frames

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._frames  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Stop looking. Idempotent."""
        await self._frames.aclose()


def percentiles(times: Sequence[float]) -> tuple[float, ...]:
    """Median, 95th and 99th percentile (nearest rank); empty without values."""
    if not times:
        return ()
    ordered = sorted(times)
    return tuple(ordered[-(-len(ordered) * share // 100) - 1] for share in (50, 95, 99))


def _measured(times: Sequence[float], workers: Sequence[WorkerStatus]) -> tuple[tuple[float, ...], dict[str, int]]:
    """Percentiles, and memory by process; in a thread, because reading ``/proc`` takes up to milliseconds."""
    names = {os.getpid(): "server", **{worker.pid: f"worker {worker.number}" for worker in workers if worker.number}}
    memory = {}
    for pid, name in names.items():
        with contextlib.suppress(psutil.Error, OSError):  # OSError: no file is free under load
            memory[name] = psutil.Process(pid).memory_info().rss
    return percentiles(times), memory


def _frame(sample: Sample) -> bytes:
    return b"data: " + msgspec.json.encode(sample) + b"\n\n"
