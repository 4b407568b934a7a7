"""Calls that arrive before the model is loaded, in both executors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import DeadlineExceededError, ModelNotReadyError, QueueFullError, QueueTimeoutError
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.predictors.protocol import Reply
from support import clock
from support.clock import LATER, advance
from support.files import replace_text
from support.options import executor_options
from support.predictors.executors import pool, quiet, run, until
from support.predictors.scripted import ScriptedSpec, noted, order

Loading = Callable[..., AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def inline_loading(folder: Path, **options: Any) -> AsyncIterator[InlineExecutor]:
    executor = InlineExecutor(ScriptedSpec(folder=str(folder)).build, executor_options(**options))
    await executor.start()
    try:
        yield executor
    finally:
        if executor.state == "starting":
            replace_text(folder / "on_load", "")
            await executor.wait_started()
        await executor.shutdown(5)


@asynccontextmanager
async def pool_loading(folder: Path, **options: Any) -> AsyncIterator[Any]:
    async with pool(folder, wait=False, **options) as executor:
        yield executor


@pytest.fixture(params=[inline_loading, pool_loading], ids=["inline", "pool"])
def loading(request: pytest.FixtureRequest, tmp_path: Path) -> Loading:
    """``loading(**options)``: a started executor whose model loads until the file ``on_load`` no longer says wait."""
    replace_text(tmp_path / "on_load", "wait")
    return lambda **options: request.param(tmp_path, **options)


async def wait_and_run(executor: Any, name: str, timeout: float | None = None) -> Any:
    """Take a ticket, wait for the card, submit: as the HTTP process does."""
    ticket = executor.admit()
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    try:
        await executor.wait_loaded(ticket, deadline)
        if executor.card is None:
            return executor.state
        return await executor.submit(order("echo", name=name), ticket=ticket, deadline=deadline)
    finally:
        ticket.release()


def begin(executor: Any, name: str, timeout: float | None = None) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(wait_and_run(executor, name, timeout))


def test_waiting_calls_are_served_when_the_model_is_loaded(loading: Loading, tmp_path: Path) -> None:
    async def main() -> None:
        async with loading() as executor:
            tasks = [begin(executor, name) for name in "abc"]
            await until(lambda: executor.stats()["executor_queue_depth"] == 3)
            assert (executor.state, executor.stats()["executor_pending"]) == ("starting", 3)
            replace_text(tmp_path / "on_load", "")
            replies = [await task for task in tasks]
            assert [reply.body for reply in replies] == [b'{"name": "a"}', b'{"name": "b"}', b'{"name": "c"}']
            assert quiet(executor)
            stats = executor.stats()
            assert (stats["backpressure_rejected"], stats["backpressure_peak_queue_depth"]) == (0, 3)
            assert stats["backpressure_avg_wait_ms"] > 0

    asyncio.run(main())


@pytest.mark.parametrize("script", ["", "fail"])
def test_a_call_submitted_without_a_card_waits_for_a_slot(loading: Loading, tmp_path: Path, script: str) -> None:
    async def main() -> None:
        async with loading() as executor:
            task = asyncio.ensure_future(run(executor, order("echo", name="a")))
            await until(lambda: executor.stats()["executor_queue_depth"] == 1)
            replace_text(tmp_path / "on_load", script)
            if script:
                with pytest.raises(ModelNotReadyError):
                    await task
            else:
                assert (await task).body == b'{"name": "a"}'  # type: ignore[union-attr]
            assert quiet(executor)

    asyncio.run(main())


def test_the_number_of_waiting_calls_is_bounded(loading: Loading) -> None:
    async def main() -> None:
        async with loading(queue_depth=1) as executor:
            tasks = [begin(executor, name) for name in "ab"]
            await asyncio.sleep(0)
            with pytest.raises(QueueFullError):
                executor.admit()
            tasks[0].cancel()
            await asyncio.wait([tasks[0]])
            executor.admit().release()
            tasks[1].cancel()
            await asyncio.wait([tasks[1]])
            assert quiet(executor)

    asyncio.run(main())


def test_the_wait_for_the_model_is_bounded(loading: Loading) -> None:
    async def main() -> None:
        async with loading(queue_timeout=LATER, request_timeout=9) as executor:
            waiting = begin(executor, "a", 2 * LATER)
            await asyncio.sleep(0)
            await advance(LATER)
            with pytest.raises(ModelNotReadyError, match=r"still loading.* 3600 s .*EXECUTOR_QUEUE_TIMEOUT") as caught:
                await waiting
            assert caught.value.headers == (("Retry-After", "10"),)
            waiting = begin(executor, "b", LATER / 2)
            await asyncio.sleep(0)
            await advance(LATER / 2)
            with pytest.raises(DeadlineExceededError, match="after 9s"):
                await waiting
            assert quiet(executor)
            stats = executor.stats()
            assert (stats["backpressure_rejected"], stats["executor_timed_out"]) == (2, 1)

    clock.run(main())


def test_the_wait_for_a_slot_has_the_rest_of_the_queue_timeout(loading: Loading, tmp_path: Path) -> None:
    async def main() -> None:
        async with loading(queue_timeout=60.0) as executor:
            replace_text(tmp_path / "on_load", "")
            await executor.wait_started()
            blocker = asyncio.ensure_future(run(executor, order("wait_for", name="go")))
            await until(lambda: noted(tmp_path, "begins") == 1)
            ticket = executor.admit()
            ticket.waited = 60.0
            with pytest.raises(QueueTimeoutError):
                await executor.submit(order("echo"), ticket=ticket)
            ticket.release()
            (tmp_path / "go").touch()
            assert isinstance(await blocker, Reply)
            assert quiet(executor)

    asyncio.run(main())


def test_a_load_failure_and_a_shutdown_release_waiting_calls(loading: Loading, tmp_path: Path) -> None:
    async def failing() -> None:
        async with loading() as executor:
            tasks = [begin(executor, name) for name in "ab"]
            await until(lambda: executor.stats()["executor_queue_depth"] == 2)
            replace_text(tmp_path / "on_load", "fail")
            assert [await task for task in tasks] == ["failed", "failed"]
            assert executor.stats()["backpressure_rejected"] == 2
            assert quiet(executor)

    async def stopping() -> None:
        async with loading() as executor:
            tasks = [begin(executor, name) for name in "ab"]
            await until(lambda: executor.stats()["executor_queue_depth"] == 2)
            stop = asyncio.ensure_future(executor.shutdown(60))
            assert [await task for task in tasks] == ["draining", "draining"]
            replace_text(tmp_path / "on_load", "")
            await stop

    asyncio.run(failing())
    replace_text(tmp_path / "on_load", "wait")
    asyncio.run(stopping())


def test_a_worker_that_dies_before_it_was_ever_ready(tmp_path: Path) -> None:
    """Calls go on waiting for the next worker, until it is known that there will be none."""
    replace_text(tmp_path / "on_load", "die")

    async def main() -> None:
        async with pool(tmp_path, wait=False, crash_loop_deaths=3) as executor:
            task = begin(executor, "a")
            assert await task == "failed"
            assert noted(tmp_path, "loads") == 3
            assert quiet(executor)

    asyncio.run(main())
