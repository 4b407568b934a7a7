"""Who is merged with whom, and who waits for it: the batcher and admission, over slots of the test's own."""

from __future__ import annotations

import asyncio
import logging

import pytest

from drum_litestar.execution.admission import Admission
from drum_litestar.execution.batching import LARGEST_BODY, count_rows, csv_payload
from drum_litestar.execution.pending import PendingCall
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Payload, TargetType
from support.predictors.executors import until
from support.predictors.merging import table
from support.predictors.slots import CARD, Notes, Slots, begin, calls_of, idle, make, turn


def test_what_was_received_together_is_one_call() -> None:
    async def main() -> None:
        notes = Notes()
        admission, slots = make(observer=notes)
        tasks = [begin(admission, name) for name in "abc"]
        await turn()
        assert slots.names == ["abc"]
        assert (admission.running, admission.stats()["executor_in_flight"]) == (1, 3)
        slots.finish()
        assert [(await task).body for task in tasks] == [b"a", b"b", b"c"]
        assert idle(admission)
        assert (notes.rows, notes.seconds, len(notes.waits)) == ([3], [0.5], 3)
        stats = admission.stats()
        assert (stats["executor_completed"], stats["backpressure_accepted"]) == (3, 3)

    asyncio.run(main())


def test_what_waits_for_a_slot_is_merged_up_to_the_limit_of_rows() -> None:
    async def main() -> None:
        admission, slots = make()
        first = begin(admission, "x")
        await turn()
        assert slots.names == ["x"]
        rest = [begin(admission, table(*["r"] * rows, mimetype="text/csv")) for rows in (2, 3, 1, 1, 1)]
        for task, name in zip(rest, "abcde", strict=True):
            task.set_name(name)
        await turn()
        slots.finish()
        await first
        assert [len(calls_of(work)) for work in slots.running] == [3]  # 2 + 1 + 1; 3 does not fit
        slots.finish()
        assert [len(calls_of(work)) for work in slots.running] == [2]  # 3 + 1
        slots.finish()
        await asyncio.gather(*rest)
        assert idle(admission)

    asyncio.run(main())


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
def test_only_equals_are_merged(other: ModelCall) -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, "a"), begin(admission, other), begin(admission, "c"), begin(admission, other)]
        await turn()
        assert slots.names == ["ac", "bb"]  # who comes first goes first, with those like it
        slots.finish()
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
        table('"b"'),
        table(),
        table("b", "b", "b", "b"),
        ModelCall(kind="predict", x=Payload(path="/spool/x", size=9)),
        ModelCall(kind="predict", x=Payload(data=BIG, size=len(BIG))),
        ModelCall(kind="predict", x=table("b").x, colnames=Payload(data=b"a", size=1)),
        ModelCall(kind="predict", x=table("b").x, query=(("q", "1"),)),
        ModelCall(kind="predict", body=table("b").x),
        ModelCall(kind="transform", x=table("b").x),
        ModelCall(kind="predict_stream", x=table("b").x),
    ],
)
def test_what_is_never_merged_takes_a_free_slot_at_once(alone: ModelCall) -> None:
    async def main() -> None:
        admission, slots = make(2)
        tasks = [begin(admission, alone), begin(admission, alone)]
        await asyncio.sleep(0)
        assert len(slots.running) == 2
        assert all(isinstance(work, PendingCall) for work in slots.running)
        third = begin(admission, alone)
        await turn()
        assert len(slots.previewed) == 1
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
        (b'a\n"\n"\n', 0),
        (b"a\n\n\n", 2),
    ],
)
def test_rows_are_lines(data: bytes, rows: int) -> None:
    assert count_rows(data) == rows
    assert csv_payload(ModelCall(kind="predict", x=Payload(data=data, size=len(data)))) is not None


def test_calls_wait_for_mates_until_time_is_up() -> None:
    async def main() -> None:
        admission, slots = make(3, batch_max_wait=0.05)
        loop = asyncio.get_running_loop()
        began = loop.time()
        tasks = [begin(admission, "a")]
        await asyncio.sleep(0.02)
        tasks.append(begin(admission, "b"))
        await turn()
        assert slots.names == []
        await until(lambda: slots.names)
        assert loop.time() - began > 0.045
        assert slots.names == ["ab"]
        slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_a_full_call_goes_at_once() -> None:
    async def main() -> None:
        admission, slots = make(batch_max_wait=60)
        tasks = [begin(admission, name) for name in "abcd"]
        await turn()
        assert slots.names == ["abcd"]
        slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


@pytest.mark.parametrize("other", [table("x", header="b"), table("x", mimetype="text/mtx"), table("x", "x", "x")])
def test_nobody_waits_behind_calls_that_wait_for_mates(other: ModelCall) -> None:
    async def main() -> None:
        admission, slots = make(2, batch_max_wait=60)
        tasks = [begin(admission, "a"), begin(admission, "b")]
        await turn()
        assert slots.names == []
        tasks.append(begin(admission, other))
        await turn()
        assert slots.names == ["ab", "x"]
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


def test_who_leaves_while_it_is_held_is_not_missed() -> None:
    async def main() -> None:
        admission, slots = make(batch_max_wait=60)
        tasks = [begin(admission, name) for name in "ab"]
        await turn()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert idle(admission)
        tasks = [begin(admission, name) for name in "cdef"]  # a new group, with a new time and count
        await turn()
        assert slots.names == ["cdef"]
        slots.finish()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_the_cap_on_slots_counts_a_merged_call_once() -> None:
    async def main() -> None:
        admission, slots = make(3, max_in_flight=2, batch_max_rows=2)
        tasks = [begin(admission, name) for name in "abcdef"]
        await turn()
        assert slots.names == ["ab", "cd"]
        slots.finish()
        assert slots.names == ["cd", "ef"]
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


def test_a_spooled_body_is_never_merged() -> None:
    async def main() -> None:
        admission, slots = make()
        tasks = [begin(admission, name) for name in "ab"]
        spooled = ModelCall(kind="predict", request_id="spooled", x=Payload(path="/a/file", size=4))
        tasks.append(begin(admission, spooled))
        tasks += [begin(admission, name) for name in "cd"]
        await turn()
        assert slots.names == ["abcd"]
        slots.finish()
        assert slots.names == ["spooled"]
        slots.finish()
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


def test_a_model_that_cannot_merge_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        admission = Admission(slots := Slots(2), batch_max_rows=4)
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
        "Micro-batching is off: calls of this model cannot be merged"
    ]


def test_a_model_that_turns_out_not_to_merge_is_asked_again_only_after_a_reload() -> None:
    async def main() -> None:
        admission, slots = make()
        batcher = admission.batcher
        assert batcher is not None
        batcher.stop()
        admission.card_changed(CARD, 1)  # another worker with the same model
        assert not batcher.enabled
        tasks = [begin(admission, name) for name in "ab"]
        await turn()
        assert slots.names == ["a"]
        assert slots.previewed == ["b"]
        slots.finish()
        slots.finish()
        await asyncio.gather(*tasks)
        batcher.reconsider()
        admission.card_changed(CARD, 1)
        assert batcher.enabled

    asyncio.run(main())
