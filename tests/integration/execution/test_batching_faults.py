"""Batches in real workers that die, hang or are stopped: members do not affect each other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import DeadlineExceededError, RequestError, WorkerDiedError
from drum_litestar.predictors.protocol import Reply
from support import clock
from support.clock import LATER, advance
from support.predictors.batching import batches, batching, echoed, table
from support.predictors.executors import begin, quiet, reply, until
from support.predictors.scripted import noted


async def works(executor: Any) -> None:
    assert (await reply(executor, table("fine"))).body == echoed("fine")
    await until(lambda: quiet(executor))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_that_kills_the_worker_fails_alone(tmp_path: Path, workers: int) -> None:
    async def main() -> None:
        async with batching("pool", tmp_path, workers=workers) as executor:
            await until(lambda: len(executor.pids()) == workers)
            tasks = [begin(executor, table(name)) for name in ("a", "b", "kill", "c")]
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(done[2], WorkerDiedError)
            answers = [answer.body for answer in done if isinstance(answer, Reply)]
            assert answers == [echoed("a"), echoed("b"), echoed("c")]
            assert batches(tmp_path) == [4]
            await works(executor)
            assert executor.stats()["executor_restarts"] == {"died": 2}

    asyncio.run(main())


def test_a_member_that_hangs_times_out_and_the_others_are_served_elsewhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with batching("pool", tmp_path) as executor:
            (pid,) = executor.pids()
            tasks = [begin(executor, table(name), s) for name, s in (("a", 2 * LATER), ("wait:ever", LATER))]
            await until(lambda: noted(tmp_path, "begins") == 1)
            await advance(LATER)
            with pytest.raises(DeadlineExceededError):
                await tasks[1]
            assert (await reply_of(tasks[0])).body == echoed("a")
            assert batches(tmp_path) == [2]
            await until(lambda: pid not in executor.pids())
            await works(executor)
            assert executor.stats()["executor_restarts"] == {"deadline": 1}

    clock.run(main())


async def reply_of(task: asyncio.Task[Any]) -> Reply:
    answer = await task
    assert isinstance(answer, Reply)
    return answer


def test_a_slow_batch_still_answers_the_other_members(tmp_path: Path) -> None:
    """No worker is free for them, and the batch ends first."""

    async def main() -> None:
        async with batching("inline", tmp_path) as executor:
            tasks = [begin(executor, table(name), s) for name, s in (("a", 2 * LATER), ("wait:go", LATER))]
            await until(lambda: noted(tmp_path, "begins") == 1)
            await advance(LATER)
            with pytest.raises(DeadlineExceededError):
                await tasks[1]
            (tmp_path / "go").touch()
            assert (await reply_of(tasks[0])).body == echoed("a")
            assert noted(tmp_path, "singles") == 0
            await works(executor)

    clock.run(main())


@pytest.mark.parametrize("kind", ["inline", "pool"])
def test_cancelled_members_do_not_affect_the_others(tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        async with batching(kind, tmp_path) as executor:
            tasks = [begin(executor, table(name)) for name in ("a", "wait:done", "b", "c")]
            await until(lambda: noted(tmp_path, "begins") == 1)
            for task in tasks[1:3]:
                task.cancel()
            (tmp_path / "done").touch()
            assert [(await reply_of(task)).body for task in (tasks[0], tasks[3])] == [echoed("a"), echoed("c")]
            await works(executor)
            assert "executor_restarts" not in executor.stats() or executor.stats()["executor_restarts"] == {}

    asyncio.run(main())


def test_a_shutdown_without_grace_answers_all_members(tmp_path: Path) -> None:
    async def main() -> None:
        async with batching("pool", tmp_path, workers=2) as executor:
            tasks = [begin(executor, table(name)) for name in ("wait:ever", "b", "c")]
            await until(lambda: noted(tmp_path, "begins") == 1)
            await executor.shutdown(0)
            for answer in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(answer, RequestError)
                assert answer.status == 503
            assert quiet(executor)

    asyncio.run(main())


def test_a_shutdown_waits_for_batches(tmp_path: Path) -> None:
    async def main() -> None:
        async with batching("pool", tmp_path) as executor:
            tasks = [begin(executor, table(name)) for name in ("wait:done", "b")]
            await until(lambda: noted(tmp_path, "begins") == 1)
            stopping = asyncio.ensure_future(executor.shutdown(10))
            (tmp_path / "done").touch()
            assert [(await reply_of(task)).body for task in tasks] == [echoed("wait:done"), echoed("b")]
            await stopping

    asyncio.run(main())


def test_a_batch_counts_once_for_recycling(tmp_path: Path) -> None:
    async def main() -> None:
        async with batching("pool", tmp_path, max_requests=2) as executor:
            (pid,) = executor.pids()
            await asyncio.gather(*(begin(executor, table(name)) for name in "abc"))
            assert executor.pids() == [pid]
            await asyncio.gather(*(begin(executor, table(name)) for name in "abc"))
            await until(lambda: executor.pids() and pid not in executor.pids())
            await works(executor)
            assert executor.stats()["executor_restarts"] == {"max_requests": 1}

    asyncio.run(main())


def test_thousands_of_calls_with_cancellations_and_deaths(tmp_path: Path) -> None:
    """Each call is answered with its own rows or an error; nothing is left over."""

    async def main() -> None:
        async with batching("pool", tmp_path, workers=2, queue_depth=400, crash_loop_deaths=1000) as executor:
            rows = iter(range(3000))
            died = 0

            async def client(number: int) -> None:
                nonlocal died
                for row in rows:
                    name = "kill" if row % 997 == 5 else "raise" if row % 101 == 3 else str(row)
                    task = begin(executor, table(name, f"c{number}"))
                    if row % 37 == 1:
                        await asyncio.sleep(0)
                        task.cancel()
                    try:
                        answer = await reply_of(task)
                    except asyncio.CancelledError:
                        continue
                    except WorkerDiedError:
                        died += 1
                        continue
                    assert answer.status == 500 if name == "raise" else answer.body == echoed(name, f"c{number}")

            await asyncio.gather(*(client(number) for number in range(100)))
            await works(executor)
            assert died >= 3
            assert max(batches(tmp_path)) > 5

    asyncio.run(main())
