"""Executors for tests, and checks that they are idle."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from drum_litestar.execution.base_executor import BaseExecutor
from drum_litestar.execution.executor import Executor, ReplyStream
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.predictors.protocol import ModelCall, Reply
from support.clock import LATER
from support.options import executor_options, pool_options
from support.predictors.scripted import ScriptedSpec, order

AnyExecutor = TypeVar("AnyExecutor", bound=BaseExecutor)


@asynccontextmanager
async def started(executor: AnyExecutor, folder: Path, grace: float) -> AsyncIterator[AnyExecutor]:
    """``executor``, ready or failed; ``folder/go`` appears before its shutdown."""
    await executor.start()
    await executor.wait_started()
    try:
        yield executor
    finally:
        (folder / "go").touch()
        await executor.shutdown(grace)


@asynccontextmanager
async def inline(folder: Path, **options: Any) -> AsyncIterator[InlineExecutor]:
    """A started inline executor over the scripted predictor."""
    executor = InlineExecutor(ScriptedSpec(folder=str(folder)).build, executor_options(**options))
    async with started(executor, folder, LATER):
        yield executor


@asynccontextmanager
async def pool(folder: Path, *, concurrency: int = 1, wait: bool = True, **options: Any) -> AsyncIterator[PoolExecutor]:
    """A started pool over the scripted predictor. At the end no process of it is left."""
    options.setdefault("builder", "support.predictors.scripted:build_in_worker")
    options.setdefault("kill_grace", 0.3)
    options.setdefault("backoff", 0.01)
    executor = PoolExecutor(ScriptedSpec(folder=str(folder), concurrency=concurrency), pool_options(**options))
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


async def until(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait for what another process does, which no event of this one tells."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen"
        await asyncio.sleep(0.005)


def quiet(executor: Executor) -> bool:
    """No call waits or runs, and no ticket is held."""
    stats = executor.stats()
    return not (stats["executor_pending"] or stats["executor_in_flight"] or stats["backpressure_queue_depth"])


def idle(pids: Sequence[int], seconds: float) -> bool:
    """Whether these processes use no more than 1 % of a core for ``seconds``. To be asked until it is true: what
    polls never is idle, what only comes to rest late is in the end."""
    processes = [psutil.Process(pid) for pid in pids]
    before = [sum(process.cpu_times()[:2]) for process in processes]
    time.sleep(seconds)
    return all(
        sum(process.cpu_times()[:2]) - old <= 0.01 * seconds for process, old in zip(processes, before, strict=True)
    )


async def still_works(executor: Executor) -> None:
    """The counters return to zero, and the next prediction works."""
    await until(lambda: quiet(executor))
    assert (await reply(executor, order("echo", a=1), LATER)).body == b'{"a": 1}'
    await until(lambda: quiet(executor))


def busy_children(pid: int) -> list[int]:
    """Live (not zombie) children of ``pid``."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children() if child.status() != psutil.STATUS_ZOMBIE]
    return []
