from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from drum_litestar.errors import (
    DeadlineExceededError,
    ModelNotReadyError,
    QueueFullError,
    QueueTimeoutError,
)
from drum_litestar.execution.admission import Admission
from drum_litestar.execution.merged import MergedCall
from drum_litestar.execution.pending import PendingCall
from drum_litestar.predictors.protocol import Reply
from support.scripted import order


class Slots:
    """Slots whose work ends when the test says so."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.running: list[PendingCall] = []
        self.late: list[PendingCall | MergedCall] = []
        self.previewed: PendingCall | None = None

    def acquire(self) -> Slots | None:
        if not self.free:
            return None
        self.free -= 1
        return self

    def run(self, entry: PendingCall) -> None:
        if entry is self.previewed:
            self.forget(entry)
        self.running.append(entry)

    def run_merged(self, merged: MergedCall) -> None:
        raise AssertionError("nothing is merged here")

    def condemn(self) -> None:
        raise AssertionError("nothing is merged here")

    def overdue(self, work: PendingCall | MergedCall) -> None:
        self.late.append(work)

    def preview(self, entry: PendingCall) -> None:
        if self.previewed is None:
            self.previewed = entry
            entry.preview = self

    def forget(self, entry: PendingCall) -> None:
        assert self.previewed is entry
        self.previewed = entry.preview = None

    def finish(self) -> str:
        """End the oldest running call; returns its request id."""
        entry = self.running.pop(0)
        self.free += 1
        entry.end()
        entry.answer(Reply(body=entry.call.request_id.encode()))
        return entry.call.request_id


def make(slots: int = 1, **options: Any) -> tuple[Admission, Slots]:
    source = Slots(slots)
    return Admission(source, slot_count=slots, **options), source


async def call(admission: Admission, name: str, timeout: float | None = None) -> Any:
    ticket = admission.take()
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    try:
        return await admission.submit(order("x", request_id=name), ticket, deadline)
    finally:
        ticket.release()


def begin(admission: Admission, name: str, timeout: float | None = None) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(call(admission, name, timeout))


def test_first_come_first_served() -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, name) for name in "abcde"]
        await asyncio.sleep(0)
        assert len(slots.running) == 2
        assert [slots.finish() for _ in tasks] == list("abcde")
        assert [(await task).body for task in tasks] == [b"a", b"b", b"c", b"d", b"e"]
        assert (admission.places_taken, admission.running, len(admission.line)) == (0, 0, 0)
        assert admission.stats()["backpressure_peak_queue_depth"] == 3

    asyncio.run(main())


def test_the_first_in_line_is_previewed() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, name) for name in "abc"]
        await asyncio.sleep(0)
        assert slots.previewed is not None
        assert slots.previewed.call.request_id == "b"
        tasks[1].cancel()
        await asyncio.sleep(0)
        assert slots.previewed.call.request_id == "c"
        assert slots.finish() == "a"
        assert slots.previewed is None
        assert slots.finish() == "c"
        await asyncio.gather(*tasks, return_exceptions=True)
        assert admission.places_taken == 0

    asyncio.run(main())


def test_places_are_slots_and_queue_and_include_bodies_being_uploaded() -> None:
    async def main() -> None:
        admission, _ = make(2, queue_depth=1)
        tickets = [admission.take() for _ in range(3)]
        with pytest.raises(QueueFullError) as caught:
            admission.take()
        assert caught.value.headers == (("Retry-After", "5"),)
        tickets[0].release()
        tickets[0].release()
        admission.take().release()
        assert admission.places_taken == 2

    asyncio.run(main())


@pytest.mark.parametrize(("depth", "slots", "expected"), [(None, 3, 1024), (None, 200, 2000), (0, 3, 0), (7, 3, 7)])
def test_default_depth_follows_the_slots(depth: int | None, slots: int, expected: int) -> None:
    admission, _ = make(slots, queue_depth=depth)
    assert admission.queue_depth == expected


def test_max_in_flight_caps_the_slots() -> None:
    async def main() -> None:
        admission, slots = make(4, max_in_flight=2)
        tasks = [begin(admission, name) for name in "abcd"]
        await asyncio.sleep(0)
        assert len(slots.running) == 2
        assert (admission.slot_count, admission.queue_depth) == (2, 1024)
        for _ in tasks:
            slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_an_expired_deadline_is_not_even_queued() -> None:
    async def main() -> None:
        admission, slots = make()
        with pytest.raises(DeadlineExceededError):
            await call(admission, "a", timeout=0)
        assert not slots.running
        assert admission.places_taken == 0

    asyncio.run(main())


def test_the_earlier_of_patience_and_deadline_ends_the_wait() -> None:
    async def main() -> None:
        admission, slots = make(queue_timeout=0.05)
        running = begin(admission, "a")
        patient = begin(admission, "b", timeout=0.1)
        hasty = begin(admission, "c", timeout=0.01)
        with pytest.raises(DeadlineExceededError):
            await hasty
        with pytest.raises(QueueTimeoutError) as caught:
            await patient
        assert caught.value.headers == (("Retry-After", "10"),)
        slots.finish()
        await running
        assert admission.stats()["executor_timed_out"] == 1
        assert admission.tally.rejected == 2

    asyncio.run(main())


def test_a_late_call_is_answered_but_keeps_slot_and_place() -> None:
    async def main() -> None:
        admission, slots = make(queue_depth=0)
        with pytest.raises(DeadlineExceededError):
            await call(admission, "a", timeout=0.01)
        assert slots.late == slots.running
        with pytest.raises(QueueFullError):
            admission.take()
        slots.finish()
        admission.take().release()

    asyncio.run(main())


def test_everyone_in_line_can_be_refused() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, name) for name in "abc"]
        await asyncio.sleep(0)
        admission.fail_waiting("over")
        for task in tasks[1:]:
            with pytest.raises(ModelNotReadyError, match="over"):
                await task
        slots.finish()
        await tasks[0]
        assert admission.places_taken == 0

    asyncio.run(main())


@pytest.mark.parametrize("answer_first", [True, False])
def test_cancelled_in_the_turn_of_its_answer(answer_first: bool) -> None:
    async def main() -> None:
        admission, slots = make()
        task = begin(admission, "a")
        await asyncio.sleep(0)
        if answer_first:
            slots.running[0].fail(RuntimeError("nobody hears this"))
        task.cancel()
        slots.finish()
        await asyncio.gather(task, return_exceptions=True)
        assert admission.places_taken == 0

    asyncio.run(main())


def test_drain_ends_with_the_last_place_or_the_shortest_grace() -> None:
    async def main() -> None:
        admission, slots = make()
        assert await admission.drain(5) is True

        admission, slots = make()
        task = begin(admission, "a")
        await asyncio.sleep(0)
        drained = admission.drain(60)
        assert admission.drain(120) is drained
        slots.finish()
        assert await drained is True
        await task

        admission, slots = make()
        task = begin(admission, "a")
        await asyncio.sleep(0)
        drained = admission.drain(60)
        admission.drain(0.01)
        assert await drained is False
        slots.finish()
        await task

    asyncio.run(main())


@pytest.mark.parametrize(("queue_timeout", "timeout"), [(0.0, None), (30.0, 0.0)], ids=["timeout", "deadline"])
def test_a_call_that_is_let_go_on_when_its_wait_for_the_model_ends_is_no_refusal(
    queue_timeout: float, timeout: float | None
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        admission = Admission(Slots(1), queue_timeout=queue_timeout)
        ticket = admission.take()
        waiting = loop.create_task(admission.loading.wait(ticket, None if timeout is None else loop.time() + timeout))
        await asyncio.sleep(0)
        loop.call_soon(functools.partial(admission.loading.end, loaded=True))  # runs just before the timer
        await waiting
        ticket.release()
        stats = admission.stats()
        assert (stats["executor_rejected"], stats["executor_timed_out"], stats["executor_pending"]) == (0, 0, 0)

    asyncio.run(main())
