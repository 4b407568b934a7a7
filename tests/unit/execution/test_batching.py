"""Which calls share a batch, and when it is dispatched: batcher and admission over slots that the test controls."""

from __future__ import annotations

import asyncio
import logging

import pytest

from drum_litestar.execution.admission import Admission
from drum_litestar.execution.batching import LARGEST_BODY, count_rows, csv_payload
from drum_litestar.execution.pending import PendingCall
from drum_litestar.predictors.protocol import BatchingRule, ModelCall, ModelCard, Payload, TargetType
from support import clock
from support.clock import LATER, advance
from support.options import executor_options
from support.predictors.batching import table
from support.predictors.slots import CARD, Recorder, Slots, begin, calls_of, idle, make, settle


def test_calls_received_in_one_loop_iteration_are_one_batch() -> None:
    async def main() -> None:
        notes = Recorder()
        admission, slots = make(observer=notes)
        tasks = [begin(admission, name) for name in "abc"]
        await settle()
        assert slots.names == ["abc"]
        assert (admission.running, admission.stats()["executor_in_flight"]) == (1, 3)
        slots.finish()
        assert [(await task).body for task in tasks] == [b"a", b"b", b"c"]
        assert idle(admission)
        assert (notes.rows, notes.seconds, len(notes.waits)) == ([3], [0.5], 3)
        stats = admission.stats()
        assert (stats["executor_completed"], stats["backpressure_accepted"]) == (3, 3)

    asyncio.run(main())


def test_waiting_calls_are_batched_up_to_the_limit_of_rows() -> None:
    async def main() -> None:
        admission, slots = make()
        first = begin(admission, "x")
        await settle()
        assert slots.names == ["x"]
        rest = [begin(admission, table(*["r"] * rows, mimetype="text/csv")) for rows in (2, 3, 1, 1, 1)]
        for task, name in zip(rest, "abcde", strict=True):
            task.set_name(name)
        await settle()
        slots.finish()
        await first
        assert [len(calls_of(work)) for work in slots.running] == [3]  # 2 + 1 + 1; 3 does not fit
        slots.finish()
        assert [len(calls_of(work)) for work in slots.running] == [2]  # 3 + 1
        slots.finish()
        await asyncio.gather(*rest)
        assert idle(admission)

    asyncio.run(main())


ALWAYS = ModelCard(target_type=TargetType.REGRESSION, batching="always")


def test_by_default_calls_that_wait_are_batched_and_no_other_one_waits() -> None:
    async def main() -> None:
        admission, slots = make(card=ALWAYS, batch_max_rows=None)
        first = begin(admission, "a")
        await asyncio.sleep(0)  # one turn of the loop: nothing is held
        assert slots.names == ["a"]
        rest = [begin(admission, name) for name in "bcd"]
        await settle()
        assert slots.names == ["a"]
        slots.finish()
        await first
        assert slots.names == ["bcd"]
        slots.finish()
        await asyncio.gather(*rest)
        assert idle(admission)

    asyncio.run(main())


def test_by_default_each_slot_takes_its_share_of_what_waits() -> None:
    async def main() -> None:
        admission, slots = make(2, card=ALWAYS, batch_max_rows=None)
        tasks = [begin(admission, name) for name in "abcdefg"]
        await settle()
        assert slots.names == ["a", "b"]
        slots.finish()
        assert slots.names == ["b", "cde"]
        slots.finish()
        assert slots.names == ["cde", "f"]
        for _ in range(3):
            slots.finish()
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


@pytest.mark.parametrize("rule", ["on_request", "never"])
def test_by_default_calls_whose_answers_could_change_are_not_batched(
    rule: BatchingRule, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        card = ModelCard(target_type=TargetType.REGRESSION, batching=rule)
        admission, slots = make(card=card, batch_max_rows=None)
        tasks = [begin(admission, name) for name in "abc"]
        for name in "abc":
            await settle()
            assert slots.names == [name]
            slots.finish()
        await asyncio.gather(*tasks)

    caplog.set_level(logging.WARNING)
    asyncio.run(main())
    assert not caplog.records  # nobody has asked for batches


@pytest.mark.parametrize(
    "other",
    [
        table("b", header="A"),
        table("b", mimetype="text/plain"),
        table("b", mimetype=None),
        table("b", charset="utf-8"),
        table("b", mimetype=None, filename="X.csv"),
    ],
)
def test_only_calls_with_equal_keys_are_batched(other: ModelCall) -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, "a"), begin(admission, other), begin(admission, "c"), begin(admission, other)]
        await settle()
        assert slots.names == ["ac", "bb"]  # first in, first out, with all calls of the same key
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_tensors_are_batched_unless_hooks_get_their_bodies() -> None:
    async def main() -> None:
        card = ModelCard(target_type=TargetType.REGRESSION, batching="on_request", row_by_row=True)
        admission, slots = make(2, card=card)
        tasks = [begin(admission, ModelCall(kind="infer", body=table("b").x)) for _ in range(2)]
        await settle()
        assert [len(calls_of(work)) for work in slots.running] == [2]
        slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


BIG = b"a\n" + b"1" * LARGEST_BODY + b"\n"


@pytest.mark.parametrize(
    "alone",
    [
        table("b", mimetype="text/mtx"),
        table("b", mimetype=None, filename="X.mtx"),
        table("b", mimetype=None, filename="X.MTX"),
        table(),
        table("b", "b", "b", "b"),
        ModelCall(kind="predict", x=Payload(path="/spool/x", size=9)),
        ModelCall(kind="predict", x=Payload(data=BIG, size=len(BIG))),
        ModelCall(kind="predict", x=table("b").x, colnames=Payload(data=b"a", size=1)),
        ModelCall(kind="predict", x=table("b").x, query=(("q", "1"),)),
        ModelCall(kind="predict", body=table("b").x),
        ModelCall(kind="predict", x=table("b").x, timed=True),
        ModelCall(kind="transform", x=table("b").x),
        ModelCall(kind="predict_stream", x=table("b").x),
        ModelCall(kind="infer", body=table("b").x),
    ],
)
def test_a_call_that_is_never_batched_takes_a_free_slot_at_once(alone: ModelCall) -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, alone), begin(admission, alone)]
        await asyncio.sleep(0)
        assert len(slots.running) == 2
        assert all(isinstance(work, PendingCall) for work in slots.running)
        third = begin(admission, alone)
        await settle()
        assert slots.prefetched is not None
        for _ in range(3):
            slots.finish()
        await asyncio.gather(*tasks, third)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a\n1\n2\n", 2),
        (b"a\n1\n2", 2),
        (b"a\r\n1\r\n", 1),
        (b"a", 0),
        (b"a\n", 0),
        (b"", 0),
        (b"\n1\n", 1),
        (b"a\n\n\n", 2),
        (b'a\n"\n"\n', 1),
        (b'a,b\n"two\nlines",1\n"x",2\n', 2),
        (b'a,b\n"two\nlines",1\n"x",2', 2),
        (b'a,b\n"\r\n","\n\n"\r\n', 1),
        (b'"a\nb",c\n1,2\n', 1),
        (b'a\n"say ""hi"",\n""bye"""\n1\n', 2),
        (b'a\n""\n""\n', 2),
        (b'a\n"""\n"""\n', 1),
        (b'a\n"not closed\n1\n2\n', 0),
    ],
)
def test_rows_are_lines(data: bytes, rows: int) -> None:
    assert count_rows(data) == rows
    assert csv_payload(ModelCall(kind="predict", x=Payload(data=data, size=len(data)))) is not None


def test_a_batch_is_held_for_the_flush_interval() -> None:
    async def main() -> None:
        admission, slots = make(3, batch_max_wait_ms=2000 * LATER)
        tasks = [begin(admission, "a")]
        await settle()
        await advance(LATER)
        tasks.append(begin(admission, "b"))
        await settle()
        assert slots.names == []
        await advance(LATER)
        assert slots.names == ["ab"]
        slots.finish()
        await asyncio.gather(*tasks)

    clock.run(main())


def test_a_full_batch_is_dispatched_at_once() -> None:
    async def main() -> None:
        admission, slots = make(batch_max_wait_ms=60_000)
        tasks = [begin(admission, name) for name in "abcd"]
        await settle()
        assert slots.names == ["abcd"]
        slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


@pytest.mark.parametrize("other", [table("x", header="b"), table("x", mimetype="text/mtx"), table("x", "x", "x")])
def test_a_call_that_cannot_join_ends_the_flush_interval(other: ModelCall) -> None:
    async def main() -> None:
        admission, slots = make(2, batch_max_wait_ms=60_000)
        tasks = [begin(admission, "a"), begin(admission, "b")]
        await settle()
        assert slots.names == []
        tasks.append(begin(admission, other))
        await settle()
        assert slots.names == ["ab", "x"]
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


def test_calls_may_leave_a_held_batch() -> None:
    async def main() -> None:
        admission, slots = make(batch_max_wait_ms=60_000)
        tasks = [begin(admission, name) for name in "ab"]
        await settle()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert idle(admission)
        tasks = [begin(admission, name) for name in "cdef"]  # a new batch, with a new interval and count
        await settle()
        assert slots.names == ["cdef"]
        slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_the_cap_on_slots_counts_a_batch_once() -> None:
    async def main() -> None:
        admission, slots = make(3, max_concurrent=2, batch_max_rows=2)
        tasks = [begin(admission, name) for name in "abcdef"]
        await settle()
        assert slots.names == ["ab", "cd"]
        slots.finish()
        assert slots.names == ["cd", "ef"]
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


def test_a_spooled_body_is_never_batched() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, name) for name in "ab"]
        spooled = ModelCall(kind="predict", request_id="spooled", x=Payload(path="/a/file", size=4))
        tasks.append(begin(admission, spooled))
        tasks += [begin(admission, name) for name in "cd"]
        await settle()
        assert slots.names == ["abcd"]
        slots.finish()
        assert slots.names == ["spooled"]
        slots.finish()
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


def test_a_model_that_cannot_batch_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        admission = Admission(slots := Slots(2), executor_options(batch_max_rows=4), 1)
        for _ in range(2):
            admission.card_changed(ModelCard(target_type=TargetType.REGRESSION), 2)
        tasks = [begin(admission, name) for name in "ab"]
        await asyncio.sleep(0)
        assert slots.names == ["a", "b"]
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)

    caplog.set_level(logging.WARNING)
    asyncio.run(main())
    assert [record.message for record in caplog.records] == [
        "Micro-batching is off: calls of this model cannot be batched"
    ]


def test_batching_that_the_model_refuses_stays_off_until_a_reload() -> None:
    async def main() -> None:
        admission, slots = make()
        batcher = admission.batcher
        assert batcher is not None
        batcher.disable()
        admission.card_changed(CARD, 1)  # another worker with the same model
        assert not batcher.enabled
        tasks = [begin(admission, name) for name in "ab"]
        await settle()
        assert slots.names == ["a"]
        assert slots.prefetched is not None
        assert slots.prefetched.call.request_id == "b"
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)
        batcher.model_changes()
        admission.card_changed(CARD, 1)
        assert batcher.enabled

    asyncio.run(main())
