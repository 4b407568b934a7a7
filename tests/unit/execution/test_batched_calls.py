"""Batch members do not affect each other: deadlines, cancellations, deaths, failures."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from drum_litestar.errors import DeadlineExceededError, QueueTimeoutError
from drum_litestar.execution.invoke import BatchPart
from drum_litestar.execution.pending import BatchedCall
from drum_litestar.predictors.protocol import Reply
from support import clock
from support.clock import LATER, advance
from support.predictors.batching import EXECUTORS, batches, batching, echoed, table
from support.predictors.executors import begin as start
from support.predictors.executors import quiet, reply, until
from support.predictors.scripted import noted
from support.predictors.slots import begin, idle, make, settle


def test_a_member_that_is_cancelled_is_only_not_answered() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, name) for name in "abc"]
        await settle()
        tasks[1].cancel()
        await settle()
        assert admission.in_flight == 3
        slots.finish()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert [answer.body for answer in done if isinstance(answer, Reply)] == [b"a", b"c"]
        assert idle(admission)

    asyncio.run(main())


def test_a_deadline_requeues_the_other_members_to_run_alone() -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, "a", LATER), begin(admission, "b", 2 * LATER), begin(admission, "c")]
        await settle()
        assert slots.names == ["abc"]
        await advance(LATER)
        with pytest.raises(DeadlineExceededError):
            await tasks[0]
        assert slots.unhealthy == 1
        assert slots.names == ["abc", "b"]  # b is the first to run elsewhere, alone
        slots.finish(1)
        assert (await tasks[1]).body == b"b"
        assert slots.names == ["abc", "c"]
        assert slots.late == []  # the batch may still answer a member
        slots.finish(1)
        assert (await tasks[2]).body == b"c"
        await settle()
        assert slots.late == slots.running  # now it cannot
        slots.finish()
        assert idle(admission)
        stats = admission.stats()
        assert (stats["executor_timed_out"], stats["executor_completed"]) == (1, 3)

    clock.run(main())


@pytest.mark.parametrize("names", ["b", "bc"])
@pytest.mark.parametrize("hangs", [False, True])
def test_a_call_that_waited_for_most_of_its_time_is_late_but_does_not_hang(names: str, hangs: bool) -> None:
    """Its slot becomes unhealthy only once it has computed for half of the time that the call was granted."""

    async def main() -> None:
        admission, slots = make()
        first = begin(admission, "a")
        await settle()
        tasks = [begin(admission, name, LATER) for name in names]
        await settle()
        await advance(0.75 * LATER)
        slots.finish()
        await settle()
        assert slots.names == [names]
        await advance(0.25 * LATER)
        for task in tasks:
            with pytest.raises(DeadlineExceededError):
                await task
        assert slots.unhealthy == 0
        await advance(0.125 * LATER)
        assert slots.unhealthy == 0
        if hangs:
            await advance(0.25 * LATER)
        assert slots.unhealthy == hangs
        assert slots.late == (slots.running if hangs else [])
        slots.finish()
        assert (await first).body == b"a"
        await settle()
        assert idle(admission)
        assert admission.stats()["executor_timed_out"] == len(names)

    clock.run(main())


def test_a_batch_that_ends_late_answers_its_requeued_members() -> None:
    async def main() -> None:
        admission, slots = make(1)
        tasks = [begin(admission, "a", LATER), begin(admission, "b", 2 * LATER), begin(admission, "c")]
        await settle()
        await advance(LATER)
        with pytest.raises(DeadlineExceededError):
            await tasks[0]
        assert [entry.call.request_id for entry in admission.queue] == ["b", "c"]
        slots.finish()
        assert [(await task).body for task in tasks[1:]] == [b"b", b"c"]
        assert slots.late == []
        assert idle(admission)
        assert (admission.counters.timed_out, slots.unhealthy) == (1, 1)

    clock.run(main())


def test_requeued_members_keep_their_own_deadline_and_queue_timeout() -> None:
    async def main() -> None:
        admission, slots = make(1, queue_timeout=4 * LATER)
        deadlines = (LATER, 3 * LATER, 9 * LATER)
        tasks = [begin(admission, name, deadline) for name, deadline in zip("abc", deadlines, strict=True)]
        await settle()
        for task, error in zip(tasks, (DeadlineExceededError, DeadlineExceededError, QueueTimeoutError), strict=True):
            assert not task.done()
            await advance(2 * LATER)
            with pytest.raises(error):
                await task
        await settle()
        assert slots.late == slots.running
        slots.finish()
        assert idle(admission)

    clock.run(main())


def test_a_batch_that_all_callers_have_left_times_out_at_its_first_deadline() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, "a", LATER), begin(admission, "b", 2 * LATER)]
        await settle()
        for task in tasks:
            task.cancel()
        await settle()
        assert slots.unhealthy == 0
        await advance(LATER)
        assert slots.unhealthy == 1
        assert slots.late == slots.running
        slots.finish()
        assert idle(admission)

    clock.run(main())


def test_the_deadline_of_an_answered_member_does_not_count() -> None:
    async def main() -> None:
        admission, slots = make()
        deadlines = (LATER, 3 * LATER, 9 * LATER)
        tasks = [begin(admission, name, deadline) for name, deadline in zip("abc", deadlines, strict=True)]
        await settle()
        (batch,) = slots.running
        assert isinstance(batch, BatchedCall)
        batch.answer(BatchPart(0, [Reply(body=b"A")], 0.1, False, True, False))
        assert (await tasks[0]).body == b"A"
        await advance(2 * LATER)
        assert slots.unhealthy == 0
        await advance(LATER)
        with pytest.raises(DeadlineExceededError):
            await tasks[1]
        assert slots.unhealthy == 1
        batch.answer(BatchPart(1, [Reply(), Reply(body=b"C")], 0.1, False, True, True))
        slots.running.clear()
        slots.free += 1
        batch.end()
        assert (await tasks[2]).body == b"C"
        assert idle(admission)

    clock.run(main())


def test_members_are_requeued_when_the_worker_dies() -> None:
    async def main() -> None:
        admission, slots = make(1)
        tasks = [begin(admission, name) for name in "abc"]
        await settle()
        tasks[0].cancel()
        await settle()
        slots.die()
        assert slots.names == []  # its slot is gone
        slots.free = 3
        admission.dispatch_waiting()
        assert slots.names == ["b", "c"]
        slots.finish()
        slots.finish()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answer.body for answer in done if isinstance(answer, Reply)] == [b"b", b"c"]
        assert idle(admission)
        assert admission.stats()["executor_completed"] == 3

    asyncio.run(main())


# Over real predictors


@pytest.mark.parametrize("kind", EXECUTORS)
def test_calls_are_batched_and_answered_one_by_one(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with batching(kind, tmp_path) as executor:
            tasks = [start(executor, table(f"{number}", "x")) for number in range(5)]
            answers = await asyncio.gather(*tasks)
            assert [answer.body for answer in answers if isinstance(answer, Reply)] == [
                echoed(f"{number}", "x") for number in range(5)
            ]
            assert batches(tmp_path) == [5]
            assert noted(tmp_path, "singles") == 0
            await until(lambda: quiet(executor))
            assert executor.stats()["executor_completed"] == 5

    asyncio.run(main())


@pytest.mark.parametrize("kind", EXECUTORS)
@pytest.mark.parametrize("row", ["raise", "refuse", "short"])
def test_a_batch_that_fails_runs_singly(kind: str, row: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with batching(kind, tmp_path) as executor:
            tasks = [start(executor, table(name)) for name in ("a", row, "b")]
            answers = [answer for answer in await asyncio.gather(*tasks) if isinstance(answer, Reply)]
            assert [answer.body for answer in (answers[0], answers[2])] == [echoed("a"), echoed("b")]
            if row == "raise":
                assert answers[1].status == 500
                assert json.loads(answers[1].body) == {"message": "ERROR: boo"}
            else:
                assert answers[1].body == echoed(row)
            assert (batches(tmp_path), noted(tmp_path, "singles")) == ([3], 3)
            await until(lambda: quiet(executor))
            assert (await reply(executor, table("c"), 10)).body == echoed("c")

    asyncio.run(main())


@pytest.mark.parametrize("kind", EXECUTORS)
def test_a_model_that_refuses_batching_is_not_asked_again(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with batching(kind, tmp_path) as executor:
            for _ in range(2):
                tasks = [start(executor, table(name)) for name in ("aggregate", "b", "c")]
                answers = [answer for answer in await asyncio.gather(*tasks) if isinstance(answer, Reply)]
                assert [answer.body for answer in answers] == [echoed("aggregate"), echoed("b"), echoed("c")]
            assert batches(tmp_path) == [3]
            assert noted(tmp_path, "singles") == 6

    asyncio.run(main())


def test_a_model_without_batching_answers_single_calls(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with batching("inline", tmp_path, spec={"rule": "never"}) as executor:
            assert (await reply(executor, table("a"))).body == echoed("a")
            assert batches(tmp_path) == []

    caplog.set_level(logging.WARNING)
    asyncio.run(main())
    assert len(caplog.records) == 1
