"""Real faults in real worker processes. After each: every call answered, counters at zero, the next call works."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from drum_litestar.errors import (
    DeadlineExceededError,
    ModelLoadError,
    ModelNotReadyError,
    RequestError,
    WorkerDiedError,
)
from drum_litestar.execution.executor import Executor
from drum_litestar.execution.pending import PendingCall
from drum_litestar.execution.pool.channel import Channel
from drum_litestar.execution.pool.model_worker import ModelWorker
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.execution.pool.process import ChildProcess
from drum_litestar.execution.pool.wire import FrameReader
from drum_litestar.execution.streaming import ChunkStream
from drum_litestar.predictors.protocol import Reply
from support import clock
from support.clock import LATER, advance
from support.files import replace_text
from support.live_objects import live
from support.predictors.executors import begin, inline, pool, quiet, reply, run, still_works, stream, until
from support.predictors.scripted import noted, order


@pytest.mark.parametrize(
    ("do", "fields", "text"),
    [
        ("segfault", {}, "signal SIGSEGV"),
        ("exit", {"code": 9}, "exit code 9"),
        ("kill", {}, "signal SIGKILL"),
        ("close_fds", {}, "exit code 70"),
    ],
)
def test_a_dead_worker_fails_its_calls_at_once_and_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, do: str, fields: dict[str, Any], text: str
) -> None:
    async def main() -> None:
        async with pool(tmp_path, concurrency=2) as executor:
            (pid,) = executor.pids()
            other = begin(executor, order("wait_for", name="never"))
            await until(lambda: noted(tmp_path, "begins") == 1)
            waiting = [begin(executor, order("echo", a=1), LATER) for _ in range(3)]
            culprit = begin(executor, order(do, **fields))
            for task in (culprit, other):
                with pytest.raises(WorkerDiedError):
                    await task
            assert executor.state in ("unready", "ready")
            for task in waiting:
                assert not isinstance(await task, WorkerDiedError)
            await still_works(executor)
            assert pid not in executor.pids()
            assert executor.state == "ready"
            assert executor.stats()["executor_restarts"] == {"died": 1}

    asyncio.run(main())
    assert re.search(rf"died: ({text})", caplog.text)


def test_only_the_calls_of_the_dead_worker_fail(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, workers=2) as executor:
            await until(lambda: executor.stats()["executor_workers_by_state"] == {"ready": 2})
            survivor = begin(executor, order("wait_for", name="go"))
            await until(lambda: noted(tmp_path, "begins") == 1)
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
            assert executor.state == "ready"
            (tmp_path / "go").touch()
            await survivor
            await still_works(executor)

    asyncio.run(main())


def test_an_operator_may_kill_an_idle_worker(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            for number, cleaned in ((signal.SIGKILL, 0), (signal.SIGTERM, 1)):
                (pid,) = executor.pids()
                os.kill(pid, number)
                await until(lambda pid=pid: executor.pids() not in ([pid], []))  # type: ignore[misc]
                await still_works(executor)
                assert noted(tmp_path, "closes") == cleaned

    asyncio.run(main())


@pytest.mark.parametrize("do", ["memory", "raise", "sys_exit"])
def test_what_user_code_raises_is_an_answer(tmp_path: Path, do: str) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            pids = executor.pids()
            answer = await reply(executor, order(do))
            assert answer.status == 500
            assert json.loads(answer.body)["message"].startswith("ERROR: ")
            await still_works(executor)
            assert executor.pids() == pids

    asyncio.run(main())


def kept() -> int:
    """How many of the objects of workers, calls and streams there are."""
    return live(ModelWorker, ChildProcess, Channel, FrameReader, PendingCall, ChunkStream)


@pytest.mark.parametrize("end", ["killed while idle", "killed by a call", "deadline", "reload"])
def test_what_belongs_to_a_worker_is_freed_with_it(tmp_path: Path, end: str) -> None:
    """By reference counts alone: in the HTTP process the garbage collector runs too rarely to wait for it."""

    async def die(executor: PoolExecutor) -> None:
        if end == "killed while idle":
            os.kill(executor.pids()[0], signal.SIGKILL)
        elif end == "killed by a call":
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
        elif end == "deadline":
            late = begin(executor, order("stubborn"), LATER)
            await until(lambda: noted(tmp_path, "begins") == 1)
            await advance(LATER)
            with pytest.raises(DeadlineExceededError):
                await late
        else:
            await executor.reload()

    async def main() -> None:
        async with pool(tmp_path) as executor:
            await still_works(executor)
            before = executor.pids()
            gc.collect()
            gc.disable()
            own = kept()
            await die(executor)
            await until(lambda: not set(before) & set(executor.pids()))
            await still_works(executor)
            await until(lambda: kept() == own)

    try:
        clock.run(main())
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("executors", "end"), [(inline, "read"), (inline, "left"), (pool, "read"), (pool, "left"), (pool, "died")]
)
def test_a_stream_and_its_call_are_freed_when_it_has_ended(tmp_path: Path, executors: Any, end: str) -> None:
    async def read(executor: Executor) -> None:
        chunks = await stream(executor, order("stream", count=3 if end == "read" else 10**6, every=0.001))
        if end == "died":
            os.kill(executor.pids()[0], signal.SIGKILL)
            with pytest.raises(WorkerDiedError):
                assert all([chunk async for chunk in chunks])
        elif end == "left":
            await chunks.aclose()
        else:
            assert len([chunk async for chunk in chunks]) == 3

    async def main() -> None:
        async with executors(tmp_path) as executor:
            await still_works(executor)
            gc.collect()
            gc.disable()
            own = kept()
            await read(executor)
            await still_works(executor)
            await until(lambda: kept() == own)

    try:
        asyncio.run(main())
    finally:
        gc.enable()


@pytest.mark.parametrize("do", ["stubborn", "hold_gil", "wait_for"])
def test_a_worker_whose_call_times_out_is_killed(tmp_path: Path, do: str) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            (pid,) = executor.pids()
            fields = {"name": "never"} if do == "wait_for" else {}
            late = begin(executor, order(do, **fields), LATER)
            await until(lambda: noted(tmp_path, "begins") == 1)
            await advance(LATER)
            with pytest.raises(DeadlineExceededError):
                await late
            assert executor.stats()["executor_in_flight"] == 1  # it does not wait for the kill: the work goes on
            next_one = begin(executor, order("echo", a=1), LATER)
            await next_one
            assert len([p for p in executor.pids() if p != pid]) == 1
            await until(lambda: not psutil.pid_exists(pid))
            await still_works(executor)
            assert executor.stats()["executor_restarts"] == {"deadline": 1}

    clock.run(main())


def test_other_calls_of_an_unhealthy_worker_may_finish(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, concurrency=3, stream_idle_timeout=9 * LATER) as executor:
            (pid,) = executor.pids()
            other = begin(executor, order("wait_for", name="other"), 2 * LATER)
            late = begin(executor, order("wait_for", name="never"), LATER)
            streamer = await stream(executor, order("stream", count=10, every=0.05))
            await until(lambda: noted(tmp_path, "begins") == 2)
            await advance(LATER)
            with pytest.raises(DeadlineExceededError):
                await late
            assert executor.stats()["executor_workers_by_state"].get("condemned") == 1
            assert (await reply(executor, order("echo"))).status == 201  # by the replacement
            assert len([chunk async for chunk in streamer]) == 10
            assert psutil.pid_exists(pid)
            (tmp_path / "other").touch()
            await other
            await until(lambda: not psutil.pid_exists(pid))
            await still_works(executor)

    clock.run(main())


def test_an_expired_call_is_never_dispatched(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, request_timeout=12, queue_timeout=9 * LATER) as executor:
            blocker = begin(executor, order("wait_for", name="go"))
            await until(lambda: noted(tmp_path, "begins") == 1)
            late = begin(executor, order("sleep", seconds=0), LATER)
            await asyncio.sleep(0)
            await advance(LATER)
            with pytest.raises(DeadlineExceededError) as caught:
                await late
            assert caught.value.body() == {"message": "Request timeout after 12s", "request_id": "r-1"}
            (tmp_path / "go").touch()
            await blocker
            await still_works(executor)
            assert noted(tmp_path, "begins") == 1

    clock.run(main())


@pytest.mark.parametrize("end", ["cancel", "deadline"])
def test_a_prefetched_call_that_leaves_the_queue_is_not_run(tmp_path: Path, end: str) -> None:
    async def main() -> None:
        async with pool(tmp_path, queue_timeout=9 * LATER, stream_idle_timeout=9 * LATER) as executor:
            running = await stream(executor, order("stream", count=10**6, every=0.001))
            deadline = LATER if end == "deadline" else None
            leaver = begin(executor, order("sleep", request_id="leaves", seconds=0), deadline)
            follower = begin(executor, order("sleep", seconds=0), 2 * LATER)
            for _ in range(100):  # meanwhile the worker has been sent the next call
                await running.__aiter__().__anext__()
            if end == "cancel":
                leaver.cancel()
            else:
                await advance(LATER)
            with pytest.raises((asyncio.CancelledError, DeadlineExceededError)):
                await leaver
            await running.aclose()
            await follower
            await still_works(executor)
            assert noted(tmp_path, "begins") == 1

    clock.run(main())


@pytest.mark.parametrize("do", ["exit_on_go", "stubborn"])
def test_a_call_that_a_worker_had_not_begun_is_run_once_by_its_replacement(tmp_path: Path, do: str) -> None:
    async def main() -> None:
        async with pool(tmp_path, queue_timeout=9 * LATER) as executor:
            first = begin(executor, order(do), LATER)
            waiting = [begin(executor, order("sleep", seconds=0), 2 * LATER) for _ in range(3)]
            await until(lambda: noted(tmp_path, "begins") == 1)
            if do == "stubborn":
                await advance(LATER)
            (tmp_path / "go").touch()
            with pytest.raises((WorkerDiedError, DeadlineExceededError)):
                await first
            assert [isinstance(answer, Reply) for answer in await asyncio.gather(*waiting)] == [True] * 3
            await still_works(executor)
            assert noted(tmp_path, "begins") == 1 + 3

    clock.run(main())


def test_the_deadline_of_a_call_whose_client_has_gone_still_counts(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            (pid,) = executor.pids()
            task = begin(executor, order("stubborn"), LATER)
            await until(lambda: noted(tmp_path, "begins") == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert executor.stats()["executor_in_flight"] == 1
            await advance(LATER)
            await until(lambda: executor.pids() not in ([pid], []) and not psutil.pid_exists(pid))
            await still_works(executor)

    clock.run(main())


def test_two_hundred_calls_are_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, workers=2, queue_depth=1000) as executor:
            tasks = [begin(executor, order("sleep", seconds=0.002)) for _ in range(100)]
            tasks += [begin(executor, order("stream", count=5)) for _ in range(100)]
            await until(lambda: noted(tmp_path, "begins") >= 5)
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if hasattr(result, "aclose"):
                    await result.aclose()
            await still_works(executor)
            assert len(executor.pids()) == 2

    asyncio.run(main())


def test_death_in_mid_stream_breaks_the_stream(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            (pid,) = executor.pids()
            chunks = await stream(executor, order("stream", count=1000, every=0.05))
            assert await chunks.__aiter__().__anext__()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(WorkerDiedError):
                assert all([chunk async for chunk in chunks])
            await still_works(executor)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("script", "message", "exit_code"),
    [
        ("fail", "no such artifact", 3),
        ("raise", "broken custom.py", 1),
        ("exit", "the model called sys.exit(4) while loading", 1),
        ("die", "The model worker died 3 times before it was ready (exit code 7)", 1),
    ],
)
def test_a_model_that_cannot_be_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, script: str, message: str, exit_code: int
) -> None:
    replace_text(tmp_path / "on_load", script)
    told: list[ModelLoadError] = []

    async def main() -> None:
        async with pool(tmp_path, workers=2, crash_loop_deaths=3, on_fatal=told.append) as executor:
            assert executor.state == "failed"
            assert executor.failure is not None
            assert (str(executor.failure), executor.failure.exit_code) == (message, exit_code)
            assert ("Traceback" in executor.failure.detail) is (script in ("raise", "exit"))
            with pytest.raises(RequestError):
                executor.admit()
            await until(lambda: not executor.pids())

    asyncio.run(main())
    assert not told  # it was never ready: state and failure tell
    assert ("No more model workers are started" in caplog.text) is (script == "die")  # the others say why themselves


def test_a_load_failure_of_a_replacement_is_retried(tmp_path: Path) -> None:
    """For ever. A first failure may be a passing one, and calls wait; after a second one they are answered at once."""
    told: list[ModelLoadError] = []

    async def main() -> None:
        async with pool(tmp_path, crash_loop_deaths=3, load_backoff=0.01, on_fatal=told.append) as executor:
            replace_text(tmp_path / "on_load", "raise")
            dying = begin(executor, order("kill"))
            waiting = begin(executor, order("echo"))
            with pytest.raises(WorkerDiedError):
                await dying
            with pytest.raises(
                ModelNotReadyError, match=r"the model folder cannot be loaded any more: broken custom\.py"
            ):
                await waiting
            assert noted(tmp_path, "loads") == 3
            await until(lambda: noted(tmp_path, "loads") >= 6)
            assert executor.state == "unready"
            (tmp_path / "on_load").unlink()
            await until(lambda: executor.state == "ready")
            await still_works(executor)

    asyncio.run(main())
    assert not told


def test_calls_wait_for_the_second_try_to_load(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, backoff=0.5) as executor:
            replace_text(tmp_path / "on_load", "raise")
            dying = begin(executor, order("kill"))
            waiting = begin(executor, order("echo", a=1))
            with pytest.raises(WorkerDiedError):
                await dying
            await until(lambda: executor.folder_error)
            (tmp_path / "on_load").unlink()
            answer = await waiting
            assert isinstance(answer, Reply)
            assert answer.body == b'{"a": 1}'

    asyncio.run(main())


def test_a_crash_loop_ends_the_service_and_answers_waiting_calls(tmp_path: Path) -> None:
    told: list[ModelLoadError] = []

    async def main() -> None:
        async with pool(tmp_path, crash_loop_deaths=3, on_fatal=told.append) as executor:
            replace_text(tmp_path / "on_load", "die")
            dying = begin(executor, order("kill"))
            waiting = begin(executor, order("echo"))
            with pytest.raises(WorkerDiedError):
                await dying
            with pytest.raises(RequestError, match="No model worker is left"):
                await waiting
            assert executor.state == "failed"
            assert quiet(executor)

    asyncio.run(main())
    assert [str(failure) for failure in told] == ["The model worker died 3 times before it was ready (exit code 7)"]


def test_death_policy_exit_is_reported_once_and_other_calls_finish(tmp_path: Path) -> None:
    told: list[ModelLoadError] = []

    async def main() -> None:
        async with pool(tmp_path, workers=2, death_policy="exit", on_fatal=told.append) as executor:
            await until(lambda: executor.stats()["executor_workers_by_state"] == {"ready": 2})
            other = begin(executor, order("wait_for", name="go"))
            await until(lambda: noted(tmp_path, "begins") == 1)
            with pytest.raises(WorkerDiedError):
                await run(executor, order("exit", code=5))
            await until(lambda: executor.state == "failed")
            assert len(executor.pids()) == 1
            (tmp_path / "go").touch()
            await other

    asyncio.run(main())
    assert [str(failure) for failure in told] == ["A model worker died (exit code 5)"]


PARENT = """
import asyncio, sys
from support.predictors.scripted import ScriptedSpec, order
from support.options import pool_options
from drum_litestar.execution.pool.pool import PoolExecutor

async def main():
    options = pool_options(builder="support.predictors.scripted:build_in_worker", workers=2)
    executor = PoolExecutor(ScriptedSpec(folder=sys.argv[1]), options)
    await executor.start()
    await executor.wait_started()
    while len(executor.stats()["executor_workers_by_state"]) != 1:
        await asyncio.sleep(0.01)
    print(*executor.pids(), flush=True)
    await executor.submit(order("hold_gil"), ticket=executor.admit())

asyncio.run(main())
"""


def test_workers_die_with_a_killed_server_even_while_they_hold_the_gil(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        asyncio.run(until(lambda: noted(tmp_path, "begins")))
        parent.kill()
    asyncio.run(until(lambda: not any(map(alive, pids))))


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_helpers_that_a_hook_started_do_not_outlive_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            helper = int((await reply(executor, order("helper"))).body)
            assert alive(helper)
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
            await until(lambda: not alive(helper))
            await still_works(executor)

    asyncio.run(main())


@pytest.mark.parametrize("steps", range(8))
def test_cancellation_at_any_moment(tmp_path: Path, steps: int) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            for pause in (0.0, 0.001, 0.003):
                tasks = [begin(executor, order(do, **fields)) for do, fields in ORDERS]
                for _ in range(steps):
                    await asyncio.sleep(pause)
                for task in tasks:
                    task.cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    if hasattr(result, "aclose"):
                        await result.aclose()
                await still_works(executor)
            assert executor.stats()["executor_restarts"] == {}

    asyncio.run(main())


ORDERS: list[tuple[str, dict[str, Any]]] = [
    ("echo", {}),
    ("stream", {"count": 20}),
    ("echo", {}),
    ("stream", {"count": 3}),
]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_leaks(tmp_path: Path) -> None:
    async def main(executor: Executor) -> None:
        for _ in range(3):
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
            await still_works(executor)

    async def both() -> int:
        async with pool(tmp_path) as executor:
            await main(executor)
            first = descriptors()
            await main(executor)
            assert descriptors() == first
        return descriptors()

    before = descriptors()
    asyncio.run(both())
    assert descriptors() == before
