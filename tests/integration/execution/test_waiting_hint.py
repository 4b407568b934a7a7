"""The hint at overlapping calls, over real workers: only for calls that wait while others queue."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.launcher.announcements.waiting_hint import CALLS, MOST_BUSY, SHORTEST, WaitingHint, busy_seconds
from drum_litestar.predictors.protocol import ModelCall
from support.predictors.executors import pool, reply
from support.predictors.scripted import order

LONG = 3 * SHORTEST
ENOUGH = 2 * CALLS
"""Calls after which a hint is out, if there is one: it takes two looks."""
pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux")


def hints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in map(logging.LogRecord.getMessage, caplog.records) if "wait rather than compute" in text]


def ask(folder: Path, call: ModelCall, more: Callable[[int], bool], *, clients: int = 5, threads: int = 1) -> None:
    """Ask a pool of one worker as long as ``more`` says so of the number of calls so far."""
    executors: list[PoolExecutor] = []
    asked = 0

    async def client(executor: PoolExecutor) -> None:
        nonlocal asked
        while more(asked):
            asked += 1
            await reply(executor, call)

    async def main() -> None:
        async with pool(folder, observer=WaitingHint(1, lambda: executors[0]), concurrency=threads) as executor:
            executors.append(executor)
            await asyncio.gather(*(client(executor) for _ in range(clients)))

    asyncio.run(main())


def test_calls_that_wait_while_others_queue(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Said once, with what was seen and the threads that would hold all the clients."""
    said_at: list[int] = []

    def more(asked: int) -> bool:
        """Until there is a hint, which a machine without time for the worker puts off, and as many again."""
        if hints(caplog) and not said_at:
            said_at.append(asked)
        return not said_at or asked < said_at[0] + ENOUGH

    ask(tmp_path, order("sleep", seconds=LONG), more)
    (text,) = hints(caplog)
    found = re.search(
        rf"the last {CALLS} took (\d+) ms each and computed for (\d+) % of that; before, (\d+) of (\d+) requests "
        r"queued, (\d+) ms on average\..* set DRUM_FASTAPI_EXECUTOR_WORKERS=(\d+); else .*#calls-at-once$",
        text,
    )
    assert found is not None, text
    took, busy, queued, dispatched, wait, threads = map(int, found.groups())
    assert took >= 1000 * LONG
    assert busy <= 100 * MOST_BUSY
    assert queued == dispatched == CALLS
    assert wait > 2 * took
    assert abs(threads - 5) <= 1


@pytest.mark.parametrize(
    ("call", "clients", "threads"),
    [
        pytest.param(order("compute", seconds=1.5 * SHORTEST), 5, 1, id="busy"),
        pytest.param(order("compute_in_helper", seconds=1.5 * SHORTEST), 5, 1, id="busy helper"),
        pytest.param(order("sleep", seconds=LONG), 1, 1, id="no queue"),
        pytest.param(order("echo"), 5, 1, id="short"),
        pytest.param(order("sleep", seconds=LONG), 5, 2, id="overlapping already"),
    ],
)
def test_other_calls(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, call: ModelCall, clients: int, threads: int
) -> None:
    ask(tmp_path, call, lambda asked: asked < ENOUGH, clients=clients, threads=threads)
    assert not hints(caplog)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes must share a processor")
def test_a_process_that_gets_no_processor_is_busy() -> None:
    """Three processes compute on one processor: each for a third of the time, and none of them waits otherwise."""
    processor = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{processor}]); print(flush=True)\nwhile True: pass"
    children = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        watched = psutil.Process(children[0].pid)
        began, before, computed = time.monotonic(), busy_seconds(watched.pid), sum(watched.cpu_times()[:2])
        while sum(watched.cpu_times()[:2]) < computed + 0.3:
            time.sleep(0.01)
        after, elapsed = busy_seconds(watched.pid), time.monotonic() - began
        assert before is not None
        assert after is not None
        assert elapsed > 0.45
        assert after - before > 0.8 * elapsed
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert busy_seconds(watched.pid) is None
