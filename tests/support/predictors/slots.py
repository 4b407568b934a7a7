"""Slots that end their work when the test says so, and an admission that batches calls over them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from drum_litestar.execution.admission import Admission
from drum_litestar.execution.invoke import BatchPart
from drum_litestar.execution.observer import NullObserver
from drum_litestar.execution.pending import BatchedCall, PendingCall
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply, TargetType
from support.clock import LATER
from support.options import executor_options
from support.predictors.batching import table

CARD = ModelCard(target_type=TargetType.REGRESSION, batching="on_request")


class Slots:
    """Slots whose work ends when the test says so."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.running: list[PendingCall | BatchedCall] = []
        self.unhealthy = 0
        self.late: list[PendingCall | BatchedCall] = []
        self.prefetched: PendingCall | None = None
        """The waiting call that these slots have already."""

    def acquire(self) -> Slots | None:
        if not self.free:
            return None
        self.free -= 1
        return self

    def run(self, entry: PendingCall) -> None:
        if entry is self.prefetched:
            self.drop_prefetched(entry)
        self.running.append(entry)

    def run_batch(self, batch: BatchedCall) -> None:
        self.running.append(batch)

    def mark_unhealthy(self) -> None:
        self.unhealthy += 1

    def timed_out(self, work: PendingCall | BatchedCall) -> None:
        self.late.append(work)

    def prefetch(self, entry: PendingCall) -> None:
        if self.prefetched is None:
            self.prefetched = entry
            entry.prefetched_by = self

    def drop_prefetched(self, entry: PendingCall) -> None:
        assert self.prefetched is entry
        self.prefetched = entry.prefetched_by = None

    @property
    def names(self) -> list[str]:
        """Request ids of the running calls, those of a batch joined."""
        return ["".join(call.request_id for call in calls_of(work)) for work in self.running]

    def finish(self, index: int = 0) -> str:
        """End the work at ``index`` with the request ids as answers; returns them joined."""
        name = self.names[index]
        work = self.running.pop(index)
        replies = [Reply(body=call.request_id.encode()) for call in calls_of(work)]
        self.free += 1
        if isinstance(work, BatchedCall):
            work.answer(BatchPart(0, replies, 0.5, True, True, True))
            work.end()
        else:
            work.end()
            work.answer(replies[0])
        return name

    def die(self, index: int = 0) -> None:
        work = self.running.pop(index)
        assert isinstance(work, BatchedCall)
        work.worker_died()
        work.end()


def calls_of(work: PendingCall | BatchedCall) -> list[ModelCall]:
    return work.calls if isinstance(work, BatchedCall) else [work.call]


class Recorder(NullObserver):
    """An observer that records."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.waits: list[float] = []
        self.seconds: list[float] = []

    def batch_rows(self, rows: int) -> None:
        self.rows.append(rows)

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None:
        self.waits.append(seconds)

    def model_seconds(self, seconds: float) -> None:
        self.seconds.append(seconds)


def make(slots: int = 1, card: ModelCard = CARD, **options: Any) -> tuple[Admission, Slots]:
    source = Slots(slots)
    options.setdefault("batch_max_rows", 4)
    options.setdefault("queue_depth", 50)
    options.setdefault("queue_timeout", 100 * LATER)
    admission = Admission(source, executor_options(**options), slots)
    admission.card_changed(card, slots)
    return admission, source


async def call(admission: Admission, what: ModelCall | str, timeout: float | None = None) -> Any:
    """The answer to ``what``, or to a table of one row with that text; ``timeout`` in seconds."""
    what = table(what) if isinstance(what, str) else what
    ticket = admission.admit()
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    try:
        return await admission.submit(what, ticket, deadline)
    finally:
        ticket.release()


def begin(admission: Admission, what: ModelCall | str, timeout: float | None = None) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(call(admission, what, timeout))


async def settle() -> None:
    """Let calls be queued, and a batch that is held for the loop iteration be dispatched."""
    for _ in range(3):
        await asyncio.sleep(0)


def idle(admission: Admission) -> bool:
    return not (admission.tickets or admission.running or admission.in_flight or admission.queue)
