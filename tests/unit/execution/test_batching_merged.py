"""The members of a merged call do not pay for each other: deadlines, cancellations, deaths, failures."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from drum_litestar.errors import DeadlineExceededError, QueueTimeoutError
from drum_litestar.execution.invoke import Part
from drum_litestar.execution.merged import MergedCall
from drum_litestar.predictors.protocol import Reply
from support.executors import begin as start
from support.executors import quiet, reply, until
from support.merging import EXECUTORS, batches, echoed, merging, table
from support.scripted import noted
from support.slots import begin, idle, make, turn


def test_who_leaves_is_only_not_answered() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, name) for name in "abc"]
        await turn()
        tasks[1].cancel()
        await turn()
        assert admission.in_flight == 3
        slots.finish()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert [answer.body for answer in done if isinstance(answer, Reply)] == [b"a", b"c"]
        assert idle(admission)

    asyncio.run(main())


def test_a_deadline_sends_the_mates_back_to_run_alone() -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, "a", 0.02), begin(admission, "b", 10), begin(admission, "c")]
        await turn()
        assert slots.names == ["abc"]
        with pytest.raises(DeadlineExceededError):
            await tasks[0]
        assert slots.condemned == 1
        assert slots.names == ["abc", "b"]  # b is the first to run elsewhere, alone
        slots.finish(1)
        assert (await tasks[1]).body == b"b"
        assert slots.names == ["abc", "c"]
        assert slots.late == []  # somebody may still be answered by the merged call
        slots.finish(1)
        assert (await tasks[2]).body == b"c"
        await turn()
        assert slots.late == slots.running  # now nobody
        slots.finish()
        assert idle(admission)
        stats = admission.stats()
        assert (stats["executor_timed_out"], stats["executor_completed"]) == (1, 3)

    asyncio.run(main())


def test_a_merged_call_that_ends_late_answers_those_who_wait_for_another_slot() -> None:
    async def main() -> None:
        admission, slots = make(1)
        tasks = [begin(admission, "a", 0.02), begin(admission, "b", 10), begin(admission, "c")]
        await turn()
        with pytest.raises(DeadlineExceededError):
            await tasks[0]
        assert [entry.call.request_id for entry in admission.line] == ["b", "c"]
        slots.finish()
        assert [(await task).body for task in tasks[1:]] == [b"b", b"c"]
        assert slots.late == []
        assert idle(admission)
        assert (admission.tally.timed_out, slots.condemned) == (1, 1)

    asyncio.run(main())


def test_those_sent_back_keep_their_own_deadlines_and_patience() -> None:
    async def main() -> None:
        admission, slots = make(1, queue_timeout=0.05)
        tasks = [begin(admission, "a", 0.01), begin(admission, "b", 0.03), begin(admission, "c", 10)]
        await turn()
        for task, error in zip(tasks, (DeadlineExceededError, DeadlineExceededError, QueueTimeoutError), strict=True):
            with pytest.raises(error):
                await task
        await turn()
        assert slots.late == slots.running
        slots.finish()
        assert idle(admission)

    asyncio.run(main())


def test_a_call_that_all_have_left_is_late_at_its_first_deadline() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, "a", 0.02), begin(admission, "b", 10)]
        await turn()
        for task in tasks:
            task.cancel()
        await turn()
        assert slots.condemned == 0
        await asyncio.sleep(0.03)
        assert slots.condemned == 1
        assert slots.late == slots.running
        slots.finish()
        assert idle(admission)

    asyncio.run(main())


def test_the_deadline_of_one_who_has_the_answer_does_not_count() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, "a", 0.02), begin(admission, "b", 0.06), begin(admission, "c", 10)]
        await turn()
        (merged,) = slots.running
        assert isinstance(merged, MergedCall)
        merged.answer(Part(0, [Reply(body=b"A")], 0.1, False, True, False))
        assert (await tasks[0]).body == b"A"
        await asyncio.sleep(0.03)
        assert slots.condemned == 0
        with pytest.raises(DeadlineExceededError):
            await tasks[1]
        assert slots.condemned == 1
        merged.answer(Part(1, [Reply(), Reply(body=b"C")], 0.1, False, True, True))
        slots.running.clear()
        slots.free += 1
        merged.end()
        assert (await tasks[2]).body == b"C"
        assert idle(admission)

    asyncio.run(main())


def test_a_worker_that_dies_is_no_answer_for_anybody() -> None:
    async def main() -> None:
        admission, slots = make(1)
        tasks = [begin(admission, name) for name in "abc"]
        await turn()
        tasks[0].cancel()
        await turn()
        slots.die()
        assert slots.names == []  # its slot is gone
        slots.free = 3
        admission.pump()
        assert slots.names == ["b", "c"]
        slots.finish()
        slots.finish()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answer.body for answer in done[1:] if isinstance(answer, Reply)] == [b"b", b"c"]
        assert idle(admission)
        assert admission.stats()["executor_completed"] == 3

    asyncio.run(main())


# Over real predictors


@pytest.mark.parametrize("kind", EXECUTORS)
def test_calls_are_merged_and_answered_one_by_one(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with merging(kind, tmp_path) as executor:
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
def test_what_cannot_be_merged_runs_singly(kind: str, row: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with merging(kind, tmp_path) as executor:
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
def test_a_model_that_turns_out_not_to_merge_is_not_asked_again(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with merging(kind, tmp_path) as executor:
            for _ in range(2):
                tasks = [start(executor, table(name)) for name in ("aggregate", "b", "c")]
                answers = [answer for answer in await asyncio.gather(*tasks) if isinstance(answer, Reply)]
                assert [answer.body for answer in answers] == [echoed("aggregate"), echoed("b"), echoed("c")]
            assert batches(tmp_path) == [3]
            assert noted(tmp_path, "singles") == 6

    asyncio.run(main())


def test_a_model_without_merging_runs_as_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with merging("inline", tmp_path, spec={"batchable": False}) as executor:
            assert (await reply(executor, table("a"))).body == echoed("a")
            assert batches(tmp_path) == []

    caplog.set_level(logging.WARNING)
    asyncio.run(main())
    assert len(caplog.records) == 1
