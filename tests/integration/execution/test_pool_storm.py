"""Thousands of mixed calls with random kills, timeouts and disconnects: all are answered, nothing leaks."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import DeadlineExceededError, QueueFullError, RequestError, WorkerDiedError
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.predictors.protocol import ModelCall, Reply
from support.predictors.executors import pool, run, still_works
from support.predictors.scripted import order

KINDS = ["echo"] * 60 + ["sleep"] * 20 + ["stream"] * 15 + ["raise"] * 4 + ["kill"]


def draw(dice: random.Random, number: int) -> tuple[str, ModelCall]:
    kind = dice.choice(KINDS)
    fields: dict[str, dict[str, Any]] = {
        "echo": {"number": number},
        "sleep": {"seconds": dice.choice([0.0, 0.001, 0.01])},
        "stream": {"count": dice.randrange(1, 30), "size": dice.choice([10, 50_000])},
    }
    return kind, order(kind, request_id=str(number), **fields.get(kind, {}))


async def outcome(executor: PoolExecutor, dice: random.Random, number: int) -> str:
    kind, call = draw(dice, number)
    try:
        answer = await run(executor, call, dice.choice([0.02, 60, 60, 60]))
        if isinstance(answer, Reply):
            assert kind != "echo" or answer.body == f'{{"number": {number}}}'.encode()
            return f"answer {answer.status}"
        chunks = [chunk async for chunk in answer]
        return f"stream of {bool(chunks)}"
    except QueueFullError as exc:
        await asyncio.sleep(0.02)  # Retry-After, scaled down
        return type(exc).__name__
    except (WorkerDiedError, DeadlineExceededError) as exc:
        return type(exc).__name__


async def storm(folder: Path, count: int, clients: int) -> Counter[str]:
    dice = random.Random(7)
    table: Counter[str] = Counter()
    numbers = iter(range(count))
    async with pool(folder, workers=2, concurrency=2, queue_depth=clients - 6, crash_loop_deaths=1000) as executor:

        async def client() -> None:
            for number in numbers:
                task = asyncio.ensure_future(outcome(executor, dice, number))
                if dice.random() < 0.05:
                    await asyncio.sleep(dice.choice([0, 0.001, 0.01]))
                    task.cancel()
                if dice.random() < 0.002:
                    with suppress(ProcessLookupError, IndexError):
                        os.kill(dice.choice(executor.pids()), signal.SIGKILL)
                try:
                    table[await asyncio.wait_for(task, 120)] += 1
                except asyncio.CancelledError:
                    table["client left"] += 1

        await asyncio.gather(*(client() for _ in range(clients)))
        await still_works(executor)
        assert executor.state == "ready"
        stats = executor.stats()
        assert stats["executor_restarts"]["died"] > 0
    return table


def check(table: Counter[str], count: int) -> None:
    assert sum(table.values()) == count
    assert table["answer 201"] > count / 10
    assert table["WorkerDiedError"] > 0
    assert table["client left"] > 0


def test_a_small_storm(tmp_path: Path) -> None:
    check(asyncio.run(storm(tmp_path, 600, 32)), 600)


@pytest.mark.slow
def test_a_storm_of_ten_thousand(tmp_path: Path) -> None:
    table = asyncio.run(storm(tmp_path, 10_000, 64))
    print(dict(table))
    check(table, 10_000)


def test_a_storm_breaks_no_counters_when_everything_fails(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, crash_loop_deaths=1000, queue_depth=1000) as executor:
            tasks = [asyncio.ensure_future(run(executor, order("kill"))) for _ in range(10)]
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, RequestError) for result in results)
            await still_works(executor)

    asyncio.run(main())
