"""Merged calls in real workers that die, hang or are stopped: mates do not pay for each other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import DeadlineExceededError, RequestError, WorkerDiedError
from drum_litestar.predictors.protocol import Reply
from support.predictors.executors import begin, quiet, reply, until
from support.predictors.merging import batches, echoed, merging, table
from support.predictors.scripted import noted


async def works(executor: Any) -> None:
    assert (await reply(executor, table("fine"), 10)).body == echoed("fine")
    await until(lambda: quiet(executor))


@pytest.mark.parametrize("workers", [1, 2])
def test_who_kills_the_worker_dies_alone(tmp_path: Path, workers: int) -> None:
    async def main() -> None:
        async with merging("pool", tmp_path, workers=workers) as executor:
            await until(lambda: len(executor.pids()) == workers)
            tasks = [begin(executor, table(name), 20) for name in ("a", "b", "kill", "c")]
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(done[2], WorkerDiedError)
            answers = [answer.body for answer in done if isinstance(answer, Reply)]
            assert answers == [echoed("a"), echoed("b"), echoed("c")]
            assert batches(tmp_path) == [4]
            await works(executor)
            assert executor.stats()["executor_restarts"] == {"died": 2}

    asyncio.run(main())


def test_who_hangs_is_cut_at_its_deadline_and_its_mates_are_served_elsewhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with merging("pool", tmp_path) as executor:
            (pid,) = executor.pids()
            tasks = [begin(executor, table(name), seconds) for name, seconds in (("a", 20), ("wait:ever", 0.3))]
            with pytest.raises(DeadlineExceededError):
                await tasks[1]
            assert (await reply_of(tasks[0])).body == echoed("a")
            assert batches(tmp_path) == [2]
            await until(lambda: pid not in executor.pids())
            await works(executor)
            assert executor.stats()["executor_restarts"] == {"deadline": 1}

    asyncio.run(main())


async def reply_of(task: asyncio.Task[Any]) -> Reply:
    answer = await task
    assert isinstance(answer, Reply)
    return answer


def test_a_slow_model_still_answers_the_mates_of_a_late_call(tmp_path: Path) -> None:
    """No worker is free for them, and the merged call ends first."""

    async def main() -> None:
        async with merging("inline", tmp_path) as executor:
            tasks = [begin(executor, table(name), seconds) for name, seconds in (("a", 20), ("wait:go", 0.1))]
            with pytest.raises(DeadlineExceededError):
                await tasks[1]
            (tmp_path / "go").touch()
            assert (await reply_of(tasks[0])).body == echoed("a")
            assert noted(tmp_path, "singles") == 0
            await works(executor)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["inline", "pool"])
def test_callers_who_leave_do_not_disturb_the_others(tmp_path: Path, kind: str) -> None:
    async def main() -> None:
        async with merging(kind, tmp_path) as executor:
            tasks = [begin(executor, table(name), 20) for name in ("a", "wait:done", "b", "c")]
            await until(lambda: noted(tmp_path, "begins") == 1)
            for task in tasks[1:3]:
                task.cancel()
            (tmp_path / "done").touch()
            assert [(await reply_of(task)).body for task in (tasks[0], tasks[3])] == [echoed("a"), echoed("c")]
            await works(executor)
            assert "executor_restarts" not in executor.stats() or executor.stats()["executor_restarts"] == {}

    asyncio.run(main())


def test_a_shutdown_that_cannot_wait_leaves_nobody_unanswered(tmp_path: Path) -> None:
    async def main() -> None:
        async with merging("pool", tmp_path, workers=2) as executor:
            tasks = [begin(executor, table(name), 20) for name in ("wait:ever", "b", "c")]
            await until(lambda: noted(tmp_path, "begins") == 1)
            await executor.shutdown(0)
            for answer in await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5):
                assert isinstance(answer, RequestError)
                assert answer.status == 503
            assert quiet(executor)

    asyncio.run(main())


def test_a_shutdown_waits_for_merged_calls(tmp_path: Path) -> None:
    async def main() -> None:
        async with merging("pool", tmp_path) as executor:
            tasks = [begin(executor, table(name), 20) for name in ("wait:done", "b")]
            await until(lambda: noted(tmp_path, "begins") == 1)
            stopping = asyncio.ensure_future(executor.shutdown(10))
            (tmp_path / "done").touch()
            assert [(await reply_of(task)).body for task in tasks] == [echoed("wait:done"), echoed("b")]
            await stopping

    asyncio.run(main())


def test_a_merged_call_counts_once_for_recycling(tmp_path: Path) -> None:
    async def main() -> None:
        async with merging("pool", tmp_path, max_requests=2) as executor:
            (pid,) = executor.pids()
            await asyncio.gather(*(begin(executor, table(name)) for name in "abc"))
            assert executor.pids() == [pid]
            await asyncio.gather(*(begin(executor, table(name)) for name in "abc"))
            await until(lambda: executor.pids() and pid not in executor.pids())
            await works(executor)
            assert executor.stats()["executor_restarts"] == {"max_requests": 1}

    asyncio.run(main())


def test_thousands_of_calls_with_departures_and_deaths(tmp_path: Path) -> None:
    """Everyone is answered with his own rows or a reason; nothing is left over."""

    async def main() -> None:
        async with merging("pool", tmp_path, workers=2, queue_depth=400, crash_loop_deaths=1000) as executor:
            rows = iter(range(3000))
            died = 0

            async def client(number: int) -> None:
                nonlocal died
                for row in rows:
                    name = "kill" if row % 997 == 5 else "raise" if row % 101 == 3 else str(row)
                    task = begin(executor, table(name, f"c{number}"), 20)
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
