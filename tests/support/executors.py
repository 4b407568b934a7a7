"""Executors for tests, and what is true of them when nothing goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from drum_litestar.execution.executor import Executor, ReplyStream
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.execution.pool.options import PoolOptions
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.predictors.protocol import ModelCall, Reply
from support.scripted import ScriptedSpec, order


@asynccontextmanager
async def inline(folder: Path, **options: Any) -> AsyncIterator[InlineExecutor]:
    """A started inline executor over the scripted predictor; ``folder/go`` appears before its shutdown."""
    executor = InlineExecutor(ScriptedSpec(folder=str(folder)), **options)
    await executor.start()
    await executor.wait_started()
    try:
        yield executor
    finally:
        (folder / "go").touch()
        await executor.shutdown(5)


@asynccontextmanager
async def pool(folder: Path, *, concurrency: int = 1, wait: bool = True, **options: Any) -> AsyncIterator[PoolExecutor]:
    """A started pool over the scripted predictor. At the end no process of it is left."""
    options.setdefault("kill_grace", 0.3)
    options.setdefault("backoff", 0.01)
    executor = PoolExecutor(ScriptedSpec(folder=str(folder), concurrency=concurrency), PoolOptions(**options))
    await executor.start()
    if wait:
        await executor.wait_started()
    try:
        yield executor
    finally:
        await executor.shutdown(0)
        assert executor.pids() == []
        assert [
            child for child in psutil.Process().children() if "drum-litestar-worker" in " ".join(child.cmdline())
        ] == []


async def run(executor: Executor, call: ModelCall, timeout: float | None = None) -> Reply | ReplyStream:
    """One call from admission to its answer; ``timeout`` in seconds."""
    ticket = executor.admit()
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    try:
        return await executor.submit(call, ticket=ticket, deadline=deadline)
    finally:
        ticket.release()


def begin(executor: Executor, call: ModelCall, timeout: float | None = None) -> asyncio.Task[Reply | ReplyStream]:
    return asyncio.get_running_loop().create_task(run(executor, call, timeout))


async def stream(executor: Executor, call: ModelCall, timeout: float | None = None) -> ReplyStream:
    answer = await run(executor, call, timeout)
    assert not isinstance(answer, Reply)
    return answer


async def reply(executor: Executor, call: ModelCall, timeout: float | None = None) -> Reply:
    answer = await run(executor, call, timeout)
    assert isinstance(answer, Reply), answer
    return answer


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait for what another process does, which no event of this one tells."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "did not happen"
        await asyncio.sleep(0.005)


def quiet(executor: Executor) -> bool:
    """No call waits, runs or holds a place."""
    stats = executor.stats()
    return not (stats["executor_pending"] or stats["executor_in_flight"] or stats["backpressure_queue_depth"])


async def still_works(executor: Executor) -> None:
    """The counters come back to zero, and the next prediction works."""
    await until(lambda: quiet(executor))
    assert (await reply(executor, order("echo", a=1), 10)).body == b'{"a": 1}'
    await until(lambda: quiet(executor))


def busy_children(pid: int) -> list[int]:
    """Live (not zombie) children of ``pid``."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
    return []
