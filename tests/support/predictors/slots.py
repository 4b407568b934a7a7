"""Slots whose calls a test finishes, and an admission with batching over them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from drum_litestar.execution.admission import Admission
from drum_litestar.execution.invoke import Part
from drum_litestar.execution.merged import MergedCall
from drum_litestar.execution.observer import NullObserver
from drum_litestar.execution.pending import PendingCall
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply, TargetType
from support.predictors.merging import table

CARD = ModelCard(target_type=TargetType.REGRESSION, batchable=True)


class Slots:
    """Slots whose work ends when the test says so."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.running: list[PendingCall | MergedCall] = []
        self.condemned = 0
        self.late: list[PendingCall | MergedCall] = []
        self.previewed: list[str] = []

    def acquire(self) -> Slots | None:
        if not self.free:
            return None
        self.free -= 1
        return self

    def run(self, entry: PendingCall) -> None:
        self.running.append(entry)

    def run_merged(self, merged: MergedCall) -> None:
        self.running.append(merged)

    def condemn(self) -> None:
        self.condemned += 1

    def overdue(self, work: PendingCall | MergedCall) -> None:
        self.late.append(work)

    def preview(self, entry: PendingCall) -> None:
        self.previewed.append(entry.call.request_id)

    def forget(self, entry: PendingCall) -> None: ...

    @property
    def names(self) -> list[str]:
        """What runs: request ids, those of a merged call joined."""
        return ["".join(call.request_id for call in calls_of(work)) for work in self.running]

    def finish(self, index: int = 0) -> None:
        """End what runs there with the request ids as answers."""
        work = self.running.pop(index)
        replies = [Reply(body=call.request_id.encode()) for call in calls_of(work)]
        self.free += 1
        if isinstance(work, MergedCall):
            work.answer(Part(0, replies, 0.5, True, True, True))
        else:
            work.answer(replies[0])
        work.end()

    def die(self, index: int = 0) -> None:
        work = self.running.pop(index)
        assert isinstance(work, MergedCall)
        work.lost()
        work.end()


def calls_of(work: PendingCall | MergedCall) -> list[ModelCall]:
    return work.calls if isinstance(work, MergedCall) else [work.call]


class Notes(NullObserver):
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


def make(slots: int = 1, **options: Any) -> tuple[Admission, Slots]:
    source = Slots(slots)
    options.setdefault("batch_max_rows", 4)
    options.setdefault("queue_depth", 50)
    admission = Admission(source, slot_count=slots, **options)
    admission.card_changed(CARD, slots)
    return admission, source


async def call(admission: Admission, what: ModelCall, timeout: float | None = None) -> Any:
    ticket = admission.take()
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    try:
        return await admission.submit(what, ticket, deadline)
    finally:
        ticket.release()


def begin(admission: Admission, what: ModelCall | str, timeout: float | None = None) -> asyncio.Task[Any]:
    what = table(what) if isinstance(what, str) else what
    return asyncio.get_running_loop().create_task(call(admission, what, timeout))


async def turn() -> None:
    """Let what was received get in line, and what was held for that go."""
    for _ in range(3):
        await asyncio.sleep(0)


def idle(admission: Admission) -> bool:
    return not (admission.places_taken or admission.running or admission.in_flight or admission.line)
