"""The queue's memory: bodies count while their calls wait, and each stops counting exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from drum_litestar.errors import DeadlineExceededError, QueueTimeoutError
from drum_litestar.execution.admission import Admission
from drum_litestar.execution.queue_limits import MemoryShare, QueueMemory
from support import clock
from support.clock import LATER, advance
from support.predictors.batching import table
from support.predictors.slots import Slots, idle, make, settle

SIZE = 1000


async def call(admission: Admission, name: str, timeout: float | None = None) -> Any:
    """Admit, collect the body, submit: as the HTTP process does."""
    ticket = admission.admit()
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    try:
        assert ticket.memory.reserve(SIZE)
        return await admission.submit(table(name), ticket, deadline)
    finally:
        ticket.release()


def begin(admission: Admission, names: str, timeout: float | None = None) -> list[asyncio.Task[Any]]:
    loop = asyncio.get_running_loop()
    return [loop.create_task(call(admission, name, timeout)) for name in names]


async def two_wait(timeout: float | None = None, **options: Any) -> tuple[Admission, Slots, list[asyncio.Task[Any]]]:
    """One running call and two queued ones."""
    admission, slots = make(batch_max_rows=1, **options)
    tasks = begin(admission, "abc", timeout)
    await settle()
    assert admission.memory.used == admission.stats()["executor_queue_memory"] == 2 * SIZE
    return admission, slots, tasks


def test_a_share_is_bounded_and_stops_counting_once() -> None:
    memory = QueueMemory(100)
    first, second = MemoryShare(memory), MemoryShare(memory)
    assert first.reserve(60)
    assert not second.reserve(41)
    assert second.reserve(40)
    assert second.reserve(0)
    assert not second.reserve(1)
    assert memory.used == 100
    first.give_back(50)  # to disk
    first.dequeue()
    first.dequeue()
    assert memory.used == 40
    second.give_back(40)
    assert memory.used == 0
    second.dequeue()
    assert memory.used == 0


def test_requeued_bodies_count_even_over_the_limit() -> None:
    memory = QueueMemory(100)
    first, second = MemoryShare(memory), MemoryShare(memory)
    assert first.reserve(100)
    first.dequeue()
    assert second.reserve(100)
    first.requeue()
    first.requeue()
    assert memory.used == 200
    assert MemoryShare(memory).reserve(0)  # an empty body needs no memory
    assert not MemoryShare(memory).reserve(1)
    first.dequeue()
    second.dequeue()
    assert memory.used == 0
    second.give_back(30)  # late: a block that was being written when its request ended
    assert memory.used == 0


def test_a_call_counts_until_it_leaves_for_a_worker() -> None:
    async def main() -> None:
        admission, slots, tasks = await two_wait()
        for left in (1, 0, 0):
            slots.finish()
            assert admission.memory.used == left * SIZE
        await asyncio.gather(*tasks)
        assert idle(admission)

    asyncio.run(main())


def test_bodies_count_while_they_are_collected() -> None:
    async def main() -> None:
        admission, _ = make(queue_memory=1500)
        first, second = admission.admit(), admission.admit()
        assert first.memory.reserve(SIZE)
        assert not second.memory.reserve(SIZE)
        first.release()  # the client has left
        first.release()
        assert admission.memory.used == 0
        assert second.memory.reserve(SIZE)
        second.release()
        assert admission.memory.used == 0

    asyncio.run(main())


async def cancel(admission: Admission, tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks[1:]:
        task.cancel()
    for result in await asyncio.gather(*tasks[1:], return_exceptions=True):
        assert isinstance(result, asyncio.CancelledError)


async def wait_too_long(admission: Admission, tasks: list[asyncio.Task[Any]]) -> None:
    await advance(LATER)
    for result in await asyncio.gather(*tasks[1:], return_exceptions=True):
        assert isinstance(result, QueueTimeoutError)


async def miss_the_deadline(admission: Admission, tasks: list[asyncio.Task[Any]]) -> None:
    await advance(LATER)
    for result in await asyncio.gather(*tasks[1:], return_exceptions=True):
        assert isinstance(result, DeadlineExceededError)


async def fail(admission: Admission, tasks: list[asyncio.Task[Any]]) -> None:
    admission.fail_waiting("no worker is left")
    await asyncio.gather(*tasks[1:], return_exceptions=True)


@pytest.mark.parametrize(
    ("end", "options"),
    [(cancel, {}), (wait_too_long, {"queue_timeout": LATER}), (miss_the_deadline, {"timeout": LATER}), (fail, {})],
)
def test_a_call_that_leaves_the_queue_unserved_counts_no_longer(
    end: Callable[[Admission, list[asyncio.Task[Any]]], Awaitable[None]], options: dict[str, Any]
) -> None:
    async def main() -> None:
        admission, slots, tasks = await two_wait(**options)
        await end(admission, tasks)
        assert admission.memory.used == 0
        slots.finish()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert idle(admission)
        assert admission.memory.used == 0

    clock.run(main())


def test_batch_members_count_until_dispatch_and_again_once_requeued() -> None:
    async def main() -> None:
        admission, slots = make(queue_memory=4 * SIZE)
        tasks = begin(admission, "abcd")
        await asyncio.sleep(0)
        assert admission.memory.used == 4 * SIZE
        await settle()
        assert slots.names == ["abcd"]
        assert admission.memory.used == 0
        slots.die()
        assert admission.memory.used == 4 * SIZE  # requeued, and the worker's slot is gone
        tasks[3].cancel()
        await settle()
        assert admission.memory.used == 3 * SIZE
        slots.free = 1
        admission.dispatch_waiting()
        assert admission.memory.used == 2 * SIZE
        for _ in range(3):
            slots.finish()
        assert [result.body for result in await asyncio.gather(*tasks[:3])] == [b"a", b"b", b"c"]
        assert idle(admission)
        assert admission.memory.used == 0

    asyncio.run(main())


def test_a_requeued_member_that_its_batch_answers_counts_no_longer() -> None:
    async def main() -> None:
        admission, slots = make()
        late = begin(admission, "a", LATER)
        others = begin(admission, "bc")
        await settle()
        assert slots.names == ["abc"]
        await advance(LATER)
        with pytest.raises(DeadlineExceededError):
            await late[0]
        assert admission.memory.used == 2 * SIZE  # requeued, while the batch goes on
        slots.finish()
        assert [result.body for result in await asyncio.gather(*others)] == [b"b", b"c"]
        assert idle(admission)
        assert admission.memory.used == 0

    clock.run(main())
