from __future__ import annotations

import asyncio
import functools
import gc
from typing import Any

import pytest

from drum_litestar.errors import (
    DeadlineExceededError,
    ModelNotReadyError,
    QueueFullError,
    QueueTimeoutError,
    RequestError,
)
from drum_litestar.execution.admission import Admission
from drum_litestar.execution.pending import PendingCall
from support import clock
from support.clock import LATER, advance
from support.live_objects import live
from support.options import executor_options
from support.predictors.slots import Slots, begin, call
from support.predictors.slots import make as make_slots


def make(count: int = 1, **options: Any) -> tuple[Admission, Slots]:
    return make_slots(count, **{"batch_max_rows": 1, "queue_depth": None, **options})


def test_first_come_first_served() -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, name) for name in "abcde"]
        await asyncio.sleep(0)
        assert len(slots.running) == 2
        assert [slots.finish() for _ in tasks] == list("abcde")
        assert [(await task).body for task in tasks] == [b"a", b"b", b"c", b"d", b"e"]
        assert (admission.tickets, admission.running, len(admission.queue)) == (0, 0, 0)
        assert admission.stats()["backpressure_peak_queue_depth"] == 3

    asyncio.run(main())


def test_the_first_call_in_the_queue_is_prefetched() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, name) for name in "abc"]
        await asyncio.sleep(0)
        assert slots.prefetched is not None
        assert slots.prefetched.call.request_id == "b"
        tasks[1].cancel()
        await asyncio.sleep(0)
        assert slots.prefetched.call.request_id == "c"
        assert slots.finish() == "a"
        assert slots.prefetched is None
        assert slots.finish() == "c"
        await asyncio.gather(*tasks, return_exceptions=True)
        assert admission.tickets == 0

    asyncio.run(main())


def test_tickets_are_bounded_by_slots_and_queue_and_count_during_the_upload() -> None:
    async def main() -> None:
        admission, _ = make(2, queue_depth=1)
        tickets = [admission.admit() for _ in range(3)]
        with pytest.raises(QueueFullError) as caught:
            admission.admit()
        assert caught.value.headers == (("Retry-After", "5"),)
        tickets[0].release()
        tickets[0].release()
        admission.admit().release()
        assert admission.tickets == 2

    asyncio.run(main())


@pytest.mark.parametrize(("depth", "slots", "expected"), [(None, 3, 1024), (None, 200, 2000), (0, 3, 0), (7, 3, 7)])
def test_default_depth_follows_the_slots(depth: int | None, slots: int, expected: int) -> None:
    admission, _ = make(slots, queue_depth=depth)
    assert admission.queue_depth == expected


def test_max_in_flight_caps_the_slots() -> None:
    async def main() -> None:
        admission, slots = make(4, max_concurrent=2)
        tasks = [begin(admission, name) for name in "abcd"]
        await asyncio.sleep(0)
        assert len(slots.running) == 2
        assert (admission.slot_count, admission.queue_depth) == (2, 1024)
        for _ in tasks:
            slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_a_call_past_its_deadline_is_not_even_queued() -> None:
    async def main() -> None:
        admission, slots = make()
        with pytest.raises(DeadlineExceededError):
            await call(admission, "a", timeout=0)
        assert not slots.running
        assert admission.tickets == 0

    asyncio.run(main())


def test_the_earlier_of_queue_timeout_and_deadline_ends_the_wait() -> None:
    async def main() -> None:
        admission, slots = make(queue_timeout=2 * LATER)
        running = begin(admission, "a")
        slow = begin(admission, "b", timeout=3 * LATER)
        urgent = begin(admission, "c", timeout=LATER)
        await asyncio.sleep(0)
        await advance(LATER)
        with pytest.raises(DeadlineExceededError):
            await urgent
        assert not slow.done()
        await advance(LATER)
        with pytest.raises(QueueTimeoutError) as caught:
            await slow
        assert caught.value.headers == (("Retry-After", "10"),)
        slots.finish()
        await running
        assert admission.stats()["executor_timed_out"] == 1
        assert admission.counters.rejected == 2

    clock.run(main())


def test_a_late_call_is_answered_but_keeps_slot_and_ticket() -> None:
    async def main() -> None:
        admission, slots = make(queue_depth=0)
        late = begin(admission, "a", timeout=LATER)
        await asyncio.sleep(0)
        await advance(LATER)
        with pytest.raises(DeadlineExceededError):
            await late
        assert slots.late == slots.running
        with pytest.raises(QueueFullError):
            admission.admit()
        slots.finish()
        admission.admit().release()

    clock.run(main())


def test_all_queued_calls_can_be_refused() -> None:
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
        assert admission.tickets == 0

    asyncio.run(main())


@pytest.mark.parametrize("end", ["queue timeout", "deadline in the queue", "deadline", "refused"])
def test_a_failed_call_is_freed_at_once(end: str) -> None:
    """By reference counts alone, with its body: the garbage collector runs too rarely in the HTTP process."""

    def kept() -> int:
        return live(PendingCall)

    async def main() -> None:
        admission, slots = make(queue_timeout=LATER)
        before = kept()
        running = None if end == "deadline" else begin(admission, "a")
        failing = begin(admission, "b", timeout={"deadline": LATER, "deadline in the queue": LATER / 2}.get(end))
        await asyncio.sleep(0)
        if end == "refused":
            admission.fail_waiting("over")
        else:
            await advance(LATER)
        with pytest.raises(RequestError):
            await failing
        del failing
        slots.late.clear()
        slots.finish()
        if running is not None:
            await running
            del running
        await asyncio.sleep(0)
        assert kept() == before

    gc.collect()
    gc.disable()
    try:
        clock.run(main())
    finally:
        gc.enable()


@pytest.mark.parametrize("answer_first", [True, False])
def test_cancelled_in_the_loop_iteration_of_its_answer(answer_first: bool) -> None:
    async def main() -> None:
        admission, slots = make()
        task = begin(admission, "a")
        await asyncio.sleep(0)
        if answer_first:
            (running,) = slots.running
            assert isinstance(running, PendingCall)
            running.fail(RuntimeError("never retrieved"))
        task.cancel()
        slots.finish()
        await asyncio.gather(task, return_exceptions=True)
        assert admission.tickets == 0

    asyncio.run(main())


def test_drain_ends_with_the_last_ticket_or_the_shortest_grace() -> None:
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
        drained = admission.drain(2 * LATER)
        admission.drain(LATER)
        await advance(LATER)
        assert await drained is False
        slots.finish()
        await task

    clock.run(main())


@pytest.mark.parametrize(("queue_timeout", "timeout"), [(0.0, None), (30.0, 0.0)], ids=["timeout", "deadline"])
def test_a_call_released_in_the_iteration_of_its_timeout_is_not_rejected(
    queue_timeout: float, timeout: float | None
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        admission = Admission(Slots(1), executor_options(queue_timeout=queue_timeout), 1)
        ticket = admission.admit()
        waiting = loop.create_task(
            admission.load_queue.wait(ticket, None if timeout is None else loop.time() + timeout)
        )
        await asyncio.sleep(0)
        loop.call_soon(functools.partial(admission.load_queue.end, loaded=True))  # runs just before the timer
        await waiting
        ticket.release()
        stats = admission.stats()
        assert (stats["executor_rejected"], stats["executor_timed_out"], stats["executor_pending"]) == (0, 0, 0)

    asyncio.run(main())
