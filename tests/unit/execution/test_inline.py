from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import (
    DeadlineExceededError,
    ModelNotReadyError,
    QueueFullError,
    QueueTimeoutError,
    RequestError,
)
from drum_litestar.predictors.protocol import Reply
from support import clock
from support.clock import LATER, advance
from support.files import replace_text
from support.predictors.executors import begin, inline, quiet, run, until
from support.predictors.scripted import noted, order


def test_a_call_is_answered_with_the_request_id_in_context(tmp_path: Path) -> None:
    async def main() -> None:
        async with inline(tmp_path) as executor:
            assert executor.state == "ready"
            assert executor.card is not None
            reply = await run(executor, order("echo", a=1))
            assert isinstance(reply, Reply)
            assert (reply.status, reply.body, reply.content_type, reply.headers) == (
                201,
                b'{"a": 1}',
                "text/x",
                (("A", "b"),),
            )
            assert quiet(executor)
        assert executor.state == "stopped"  # type: ignore[comparison-overlap]  # it has changed since the last look
        assert noted(tmp_path, "closes") == 1
        with pytest.raises(ModelNotReadyError):
            executor.admit()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("fail", "no such artifact"),
        ("raise", "broken custom.py"),
        ("exit", "the model called sys.exit(4) while loading"),
    ],
)
def test_a_load_failure_is_kept_with_its_text(tmp_path: Path, script: str, message: str) -> None:
    replace_text(tmp_path / "on_load", script)

    async def main() -> None:
        async with inline(tmp_path) as executor:
            assert executor.state == "failed"
            assert str(executor.failure) == message
            assert executor.failure is not None
            assert ("Traceback" in executor.failure.detail) is (script != "fail")  # its text is complete
            with pytest.raises(ModelNotReadyError):
                executor.admit()

    asyncio.run(main())


def test_queue_bound_fifo_and_timeouts(tmp_path: Path) -> None:
    async def main() -> None:
        async with inline(tmp_path, queue_depth=2, queue_timeout=2 * LATER, request_timeout=9) as executor:
            blocker = asyncio.ensure_future(run(executor, order("wait_for", name="go")))
            await until(lambda: noted(tmp_path, "begins") == 1)
            waiting = asyncio.ensure_future(run(executor, order("echo")))
            urgent = asyncio.ensure_future(run(executor, order("echo", request_id="q"), timeout=LATER))
            await asyncio.sleep(0)
            with pytest.raises(QueueFullError):
                executor.admit()
            await advance(LATER)
            with pytest.raises(DeadlineExceededError) as caught:
                await urgent
            assert caught.value.body() == {"message": "Request timeout after 9s", "request_id": "q"}
            await advance(LATER)
            with pytest.raises(QueueTimeoutError):
                await waiting
            (tmp_path / "go").touch()
            await blocker
            assert quiet(executor)
            stats = executor.stats()
            assert stats["executor_completed"] == 1
            assert stats["backpressure_accepted"] == 3
            assert stats["backpressure_rejected"] == 3
            assert stats["backpressure_peak_queue_depth"] == 2

    clock.run(main())


def test_a_late_call_keeps_its_slot_until_it_ends(tmp_path: Path) -> None:
    async def main() -> None:
        async with inline(tmp_path) as executor:
            late = begin(executor, order("wait_for", name="go"), timeout=LATER)
            await until(lambda: noted(tmp_path, "begins") == 1)
            await advance(LATER)
            with pytest.raises(DeadlineExceededError):
                await late
            stats = executor.stats()
            assert stats["executor_in_flight"] == 1
            assert stats["executor_pending"] == 1
            assert stats["executor_stuck"] == 1
            assert executor.state == "unready"  # it was the only slot
            nxt = begin(executor, order("echo"))
            await until(lambda: executor.stats()["backpressure_queue_depth"] == 1)
            (tmp_path / "go").touch()
            assert isinstance(await nxt, Reply)
            assert quiet(executor)
            assert executor.stats()["executor_stuck"] == 0
            assert executor.state == "ready"  # type: ignore[comparison-overlap]  # it has changed since the last look

    clock.run(main())


def test_cancelled_calls_leave_the_queue(tmp_path: Path) -> None:
    async def main() -> None:
        async with inline(tmp_path) as executor:
            running = asyncio.ensure_future(run(executor, order("wait_for", name="go")))
            await until(lambda: noted(tmp_path, "begins") == 1)
            waiting = asyncio.ensure_future(run(executor, order("sleep", seconds=0)))
            await asyncio.sleep(0)
            waiting.cancel()
            running.cancel()
            await asyncio.gather(waiting, running, return_exceptions=True)
            stats = executor.stats()
            assert (stats["backpressure_queue_depth"], stats["executor_in_flight"]) == (0, 1)
            (tmp_path / "go").touch()
            await until(lambda: quiet(executor))
            assert noted(tmp_path, "begins") == 1  # the cancelled one was never dispatched

    asyncio.run(main())


def test_streams_run_ahead_by_a_bounded_amount_and_close_their_generator(tmp_path: Path) -> None:
    async def main() -> None:
        async with inline(tmp_path) as executor:
            stream = await run(executor, order("stream", count=5))
            assert not isinstance(stream, Reply)
            assert stream.head.status == 202
            assert [chunk.strip(b".") async for chunk in stream] == [b"0;", b"1;", b"2;", b"3;", b"4;"]
            await until(lambda: quiet(executor))

            slow = await run(executor, order("stream", count=1000, size=32 * 1024))
            assert not isinstance(slow, Reply)
            await until(lambda: noted(tmp_path, "chunks") - 5 >= 8)
            await slow.aclose()
            await slow.aclose()
            await until(lambda: quiet(executor))
            assert noted(tmp_path, "finally") == 2
            assert noted(tmp_path, "chunks") - 5 <= 10

    asyncio.run(main())


def test_a_stream_that_fails_or_falls_silent_is_broken(tmp_path: Path) -> None:
    async def main() -> None:
        async with inline(tmp_path, stream_idle_timeout=LATER) as executor:
            stream = await run(executor, order("stream", count=3, fail=1))
            assert not isinstance(stream, Reply)
            with pytest.raises(RequestError, match="failed while streaming"):
                [chunk async for chunk in stream]
            stuck = await run(executor, order("stuck_stream", name="go"))
            assert not isinstance(stuck, Reply)
            assert await stuck.__aiter__().__anext__() == b"first"
            await advance(LATER)
            with pytest.raises(DeadlineExceededError):
                [chunk async for chunk in stuck]
            (tmp_path / "go").touch()
            await until(lambda: quiet(executor))

    clock.run(main())


@pytest.mark.parametrize(
    ("do", "text"),
    [
        ("raise", "ERROR: boo"),
        ("sys_exit", "ERROR: sys.exit(3)"),
    ],
)
def test_what_a_predictor_raises_is_a_500(tmp_path: Path, do: str, text: str) -> None:
    async def main() -> None:
        async with inline(tmp_path) as executor:
            reply = await run(executor, order(do))
            assert isinstance(reply, Reply)
            assert (reply.status, json.loads(reply.body)) == (500, {"message": text})

    asyncio.run(main())


def test_shutdown_drains_and_a_second_one_ends_the_grace(tmp_path: Path) -> None:
    async def main() -> None:
        async with inline(tmp_path) as executor:
            running = asyncio.ensure_future(run(executor, order("wait_for", name="go")))
            waiting = asyncio.ensure_future(run(executor, order("echo")))
            await until(lambda: noted(tmp_path, "begins") == 1)
            first = asyncio.ensure_future(executor.shutdown(60))
            await until(lambda: executor.state == "draining")
            with pytest.raises(ModelNotReadyError):
                executor.admit()
            second = asyncio.ensure_future(executor.shutdown(0))
            with pytest.raises(ModelNotReadyError):
                await waiting
            (tmp_path / "go").touch()
            await asyncio.gather(first, second, running)

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(12))
def test_cancellation_at_any_moment_leaks_nothing(tmp_path: Path, steps: int) -> None:
    async def main() -> None:
        async with inline(tmp_path, threads=2) as executor:
            tasks: list[asyncio.Task[Any]] = [
                asyncio.get_running_loop().create_task(run(executor, call), name=call.request_id)
                for call in [order("echo"), order("stream", count=3), order("echo"), order("stream", count=3)]
            ]
            for _ in range(steps):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(result, (Reply, BaseException)):
                    await result.aclose()
            await until(lambda: quiet(executor))
            assert isinstance(await run(executor, order("echo")), Reply)

    before = threading.active_count()
    asyncio.run(main())
    assert threading.active_count() <= before + 2
