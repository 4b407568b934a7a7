"""Replacement, reload, shutdown, memory and isolation of real worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pwd
import re
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError, ModelNotReadyError, QueueFullError, RequestError, WorkerDiedError
from drum_litestar.execution.executor import Executor
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.predictors.protocol import Payload, Predictor, Reply
from support.files import replace_text
from support.options import pool_options
from support.predictors.executors import begin, idle, inline, pool, quiet, reply, run, still_works, stream, until
from support.predictors.scripted import ScriptedSpec, noted, order

MiB = 1024 * 1024


def states(executor: Executor) -> dict[str, int]:
    by_state: dict[str, int] = executor.stats()["executor_workers_by_state"]
    return by_state


class Recorder:
    """An observer that records."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.times: list[float] = []
        self.rejections: list[str] = []
        self.causes: list[str] = []

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None:
        self.waits.append(seconds)

    def model_seconds(self, seconds: float) -> None:
        self.times.append(seconds)

    def batch_rows(self, rows: int) -> None:
        raise AssertionError("nothing is batched here")

    def rejected(self, reason: str) -> None:
        self.rejections.append(reason)

    def worker_restarted(self, cause: str) -> None:
        self.causes.append(cause)


@pytest.mark.parametrize("make", [inline, pool])
def test_lost_monitoring_reports_are_added_up(tmp_path: Path, make: Any) -> None:
    async def main() -> None:
        async with make(tmp_path) as executor:
            assert executor.stats()["monitoring_reports_lost"] == 0
            await reply(executor, order("lose", reports=2, streams=False))
            async for _ in await stream(executor, order("lose", reports=3, streams=True)):
                pass
            assert executor.stats()["monitoring_reports_lost"] == 5

    asyncio.run(main())


def test_the_states_of_a_start(tmp_path: Path) -> None:
    replace_text(tmp_path / "on_load", "wait")

    async def main() -> None:
        async with pool(tmp_path, wait=False) as executor:
            assert executor.state == "starting"
            assert executor.card is None
            executor.admit().release()
            await until(lambda: noted(tmp_path, "loads"))
            replace_text(tmp_path / "on_load", "")
            await executor.wait_started()
            assert executor.state == "ready"  # type: ignore[comparison-overlap]  # it has changed since the last look
            assert executor.card is not None
            await still_works(executor)

    asyncio.run(main())


@pytest.mark.parametrize("script", ["wait", ""])
def test_stop_while_loading(tmp_path: Path, script: str) -> None:
    replace_text(tmp_path / "on_load", script)

    async def main() -> None:
        async with pool(tmp_path, wait=False, workers=2) as executor:
            await executor.shutdown(0)
            assert executor.state == "stopped"
            await executor.wait_started()

    asyncio.run(main())


def test_every_kind_of_loop_and_death_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
            await still_works(executor)
            assert len([chunk async for chunk in await stream(executor, order("stream", count=100, size=10000))]) == 100

    uvloop = pytest.importorskip("uvloop")
    uvloop.run(main())
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    asyncio.run(main())


def test_the_worker_process_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERS_OWN", "kept")

    async def main() -> None:
        async with pool(tmp_path) as executor:
            seen = json.loads((await reply(executor, order("who", request_id="abc"))).body)
        assert seen["argv"] == ["server", "--code-dir", "x y"]
        assert seen["path"] == sys.path
        assert seen["request_id"] == "abc"
        assert seen["thread"] == "MainThread"
        assert seen["stdin"] == ""
        assert seen["env"] == {**os.environ}
        assert not {"app", "pool", "worker", "wire", "pandas", "numpy", "litestar"} & set(seen["modules"])
        assert len(seen["fds"]) == 5  # stdin, stdout, stderr, the socket, and the directory that was listed
        assert seen["sid"] == seen["pid"]

    asyncio.run(main())


def test_output_reaches_the_server_line_by_line_with_its_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[tuple[int, str, str]] = []

    async def main(**options: Any) -> None:
        async with pool(tmp_path, **options) as executor:
            await run(executor, order("print", text="two\nlines é"))
            await executor.shutdown(1)

    asyncio.run(main(on_output=lambda *line: lines.append(line)))
    assert [line for line in lines if line[1] == "stdout"] == [(1, "stdout", "two"), (1, "stdout", "lines é")]
    assert [text for _, name, text in lines if name == "stderr"] == ["two", "lines é", "logged two", "lines é"]
    caplog.set_level(logging.INFO)
    asyncio.run(main())
    assert "[worker 1 stdout] lines é" in caplog.text


def test_concurrency_comes_from_the_operator_or_the_card(tmp_path: Path) -> None:
    async def main() -> None:
        cases: list[tuple[dict[str, Any], int]] = [({}, 3), ({"threads": 2}, 2), ({"max_concurrent": 1}, 1)]
        for options, slots in cases:
            async with pool(tmp_path, concurrency=3, **options) as executor:
                noted_before = noted(tmp_path, "begins")
                (tmp_path / "go").unlink(missing_ok=True)
                calls = [begin(executor, order("wait_for", name="go")) for _ in range(5)]
                await until(lambda n=noted_before, s=slots: noted(tmp_path, "begins") - n == s)  # type: ignore[misc]
                assert executor.stats()["executor_in_flight"] == slots
                assert executor.stats()["executor_max_queue"] == 1024
                (tmp_path / "go").touch()
                await asyncio.gather(*calls)
                await still_works(executor)

    asyncio.run(main())


def test_the_observer_gets_waits_times_and_rejections(tmp_path: Path) -> None:
    recorder = Recorder()

    async def main() -> None:
        async with pool(tmp_path, observer=recorder, queue_depth=0) as executor:
            call = begin(executor, order("sleep", seconds=0.05))
            await until(lambda: noted(tmp_path, "begins"))
            with pytest.raises(QueueFullError):
                executor.admit()
            await call
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))

    asyncio.run(main())
    assert recorder.waits == [0.0, 0.0]
    assert len(recorder.times) == 1
    assert recorder.times[0] >= 0.05
    assert recorder.rejections == ["queue_full"]


def test_recycling_is_make_before_break(tmp_path: Path) -> None:
    recorder = Recorder()

    async def main() -> None:
        async with pool(tmp_path, max_requests=20, observer=recorder) as executor:
            first = set(executor.pids())

            def replaced() -> bool:
                assert executor.state == "ready"
                return bool(recorder.causes) and not first & set(executor.pids())

            async def calls() -> None:
                while True:
                    await reply(executor, order("echo"))

            client = asyncio.create_task(calls())
            await until(lambda: client.done() or replaced())
            assert not client.done()
            client.cancel()
            assert set(recorder.causes) == {"max_requests"}
            await still_works(executor)

    asyncio.run(main())


@pytest.mark.parametrize("workers", [1, 2])
def test_recycling_under_load_runs_every_call_once(tmp_path: Path, workers: int) -> None:
    async def main() -> None:
        async with pool(
            tmp_path, workers=workers, max_requests=25, max_requests_jitter=10, queue_depth=1000
        ) as executor:

            async def client() -> None:
                for _ in range(50):
                    assert (await reply(executor, order("sleep", seconds=0.001))).body == b"slept"

            await asyncio.gather(*(client() for _ in range(8)))
            assert noted(tmp_path, "begins") == noted(tmp_path, "ends") == 400
            await until(lambda: executor.stats()["executor_restarts"].get("max_requests"))
            await still_works(executor)

    asyncio.run(main())


def test_a_replacement_that_cannot_load_leaves_the_old_one_in_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with pool(tmp_path, max_requests=1) as executor:
            first = executor.pids()
            replace_text(tmp_path / "on_load", "raise")
            for _ in range(3):
                await reply(executor, order("echo"))
            await until(lambda: "broken custom.py" in caplog.text and executor.pids() == first)
            await still_works(executor)
            assert executor.state == "ready"

    asyncio.run(main())


def test_a_memory_limit_recycles_unless_memory_is_short(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    headroom: list[int | None] = [0]

    async def main() -> None:
        options: dict[str, Any] = {"max_memory_mb": 60, "memory_headroom": lambda: headroom[0]}
        async with pool(tmp_path, **options) as executor:
            first = executor.pids()
            await reply(executor, order("grow", megabytes=80))
            await reply(executor, order("echo"))
            assert executor.pids() == first
            assert caplog.text.count("a second model worker does not fit into memory beside") == 1
        caplog.clear()
        headroom[0] = None
        async with pool(tmp_path, **options) as executor:
            first = executor.pids()
            await reply(executor, order("grow", megabytes=80))
            await until(lambda: not set(first) & set(executor.pids()))
            assert executor.stats()["executor_restarts"] == {"memory": 1}
            await still_works(executor)

    asyncio.run(main())


def test_loading_is_staggered_when_memory_is_short(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main(headroom: Callable[[], int | None]) -> set[int]:
        replace_text(tmp_path / "on_load", "wait")
        loading = set()
        async with pool(tmp_path, wait=False, workers=3, memory_headroom=headroom) as executor:
            await until(lambda: states(executor).get("starting"))
            loading.add(states(executor)["starting"])
            replace_text(tmp_path / "on_load", "")
            while states(executor) != {"ready": 3}:
                loading.add(states(executor).get("starting", 0))
                await asyncio.sleep(0.002)
            await still_works(executor)
        return loading

    assert max(asyncio.run(main(lambda: 0))) == 1
    assert "Memory is short for 3 model workers" in caplog.text
    assert max(asyncio.run(main(lambda: 10**12))) == 2  # the first alone, to learn its size; then the others
    assert max(asyncio.run(main(lambda: None))) == 2


def test_reload_serves_the_new_folder_without_a_gap(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, workers=2) as executor:
            await until(lambda: states(executor) == {"ready": 2})
            first = executor.pids()
            (tmp_path / "version").write_text("2")
            reloading = asyncio.ensure_future(executor.reload())
            while not reloading.done():
                await reply(executor, order("echo"))
                assert executor.state == "ready"
            await reloading
            await until(lambda: states(executor) == {"ready": 2})
            assert not set(first) & set(executor.pids())
            assert executor.card is not None
            assert executor.card.description == "2"
            assert executor.stats()["executor_restarts"] == {"reload": 2}

            stats = executor.stats()
            assert stats["executor_reloads"] == {"succeeded": 1, "failed": 0}
            assert executor.folder_error == ""

            second = executor.pids()
            replace_text(tmp_path / "on_load", "fail")
            with pytest.raises(ModelLoadError, match="no such artifact"):
                await executor.reload()
            assert executor.pids() == second
            await still_works(executor)
            failed = executor.stats()
            assert failed["executor_restarts"] == {"reload": 2}  # none was replaced
            assert failed["executor_reloads"] == {"succeeded": 1, "failed": 1}
            assert failed["executor_reload_error"] == executor.folder_error == "no such artifact"
            assert failed["executor_loaded_at"] == stats["executor_loaded_at"]

            replace_text(tmp_path / "on_load", "")
            await executor.reload()
            mended = executor.stats()
            assert mended["executor_reloads"] == {"succeeded": 2, "failed": 1}
            assert executor.folder_error == ""
            assert mended["executor_loaded_at"] > stats["executor_loaded_at"]


def test_workers_of_before_and_after_a_failed_reload(tmp_path: Path) -> None:
    """The reload counts as failed until no worker is left that was loaded before it."""

    async def main() -> None:
        async with pool(tmp_path, workers=2) as executor:
            await until(lambda: states(executor) == {"ready": 2})
            olds = executor.pids()
            replace_text(tmp_path / "on_load", "raise")
            with pytest.raises(ModelLoadError, match=r"broken custom\.py"):
                await executor.reload()
            replace_text(tmp_path / "on_load", "")
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
            await until(lambda: states(executor) == {"ready": 2})
            assert executor.folder_error == "broken custom.py"  # of the other one
            (old,) = set(olds) & set(executor.pids())
            os.kill(old, signal.SIGKILL)
            await until(lambda: states(executor) == {"ready": 2} and old not in executor.pids())
            assert executor.folder_error == ""
            assert executor.stats()["executor_reloads"] == {"succeeded": 0, "failed": 1}

    asyncio.run(main())


def test_a_broken_folder_costs_only_the_workers_that_die(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others go on; one worker tries again at growing intervals, until the folder is mended."""

    async def main() -> None:
        async with pool(tmp_path, workers=3, crash_loop_deaths=3, load_backoff=0.02) as executor:
            await until(lambda: states(executor) == {"ready": 3})
            replace_text(tmp_path / "on_load", "raise")
            loads = noted(tmp_path, "loads")
            first, second, survivor = executor.pids()
            for pid in (first, second):
                os.kill(pid, signal.SIGKILL)
            await until(lambda: noted(tmp_path, "loads") >= loads + 6)
            assert executor.pids()[0] == survivor
            assert states(executor).get("starting", 0) <= 1
            assert executor.state == "ready"
            assert executor.folder_error == "broken custom.py"
            await still_works(executor)
            replace_text(tmp_path / "on_load", "")
            await until(lambda: states(executor) == {"ready": 3})
            assert executor.folder_error == ""
            assert survivor in executor.pids()

    asyncio.run(main())
    waits = [float(text) for text in re.findall(r"Next try in ([\d.]+) s, or at SIGHUP", caplog.text)]
    assert waits[:5] == [0.01, 0.02, 0.04, 0.08, 0.16]
    assert "1 of 3 model workers go on" in caplog.text
    assert [bool(getattr(record, "traceback", "")) for record in caplog.records].count(True) == 1  # the same reason
    assert "The model folder can be loaded again" in caplog.text


def test_a_reload_brings_back_workers_that_are_missing(tmp_path: Path) -> None:
    """It does not wait for the next try, and counts as failed as long as there is no worker."""

    async def main() -> None:
        async with pool(tmp_path, load_backoff=3600, load_backoff_limit=3600) as executor:
            replace_text(tmp_path / "on_load", "raise")
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
            await until(lambda: executor.folder_error and not executor.pids())
            with pytest.raises(ModelLoadError, match=r"broken custom\.py"):
                await executor.reload()
            with pytest.raises(ModelNotReadyError, match=r"cannot be loaded any more: broken custom\.py"):
                executor.admit()
            replace_text(tmp_path / "on_load", "")
            await executor.reload()
            assert executor.state == "ready"
            await still_works(executor)

    asyncio.run(main())

    asyncio.run(main())


def test_shutdown_drains_running_and_waiting_calls(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path) as executor:
            running = begin(executor, order("wait_for", name="go"))
            waiting = begin(executor, order("echo"))
            await until(lambda: noted(tmp_path, "begins"))
            ending = asyncio.ensure_future(executor.shutdown(30))
            await until(lambda: executor.state == "draining")
            with pytest.raises(ModelNotReadyError):
                executor.admit()
            (tmp_path / "go").touch()
            assert isinstance(await running, Reply)
            assert isinstance(await waiting, Reply)
            await ending
            assert executor.state == "stopped"
            assert noted(tmp_path, "closes") == 1
            assert quiet(executor)
            await executor.shutdown(30)

    asyncio.run(main())


def test_shutdown_after_its_grace_answers_all_calls_and_closes_generators(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, concurrency=2, workers=2) as executor:
            await until(lambda: states(executor) == {"ready": 2})
            calls = [begin(executor, order("stubborn")) for _ in range(2)]
            await until(lambda: noted(tmp_path, "begins") == 2)
            streams = [await stream(executor, order("stream", count=10**6, every=0.01)) for _ in range(2)]
            waiting = begin(executor, order("echo"))
            await asyncio.sleep(0)
            ending = [asyncio.ensure_future(executor.shutdown(60)), asyncio.ensure_future(executor.shutdown(0))]
            for call in calls:
                with pytest.raises(WorkerDiedError):
                    await call
            with pytest.raises(ModelNotReadyError):
                await waiting
            for chunks in streams:
                with contextlib.suppress(RequestError):
                    assert all([chunk async for chunk in chunks])
            await asyncio.gather(*ending)
            assert quiet(executor)

    asyncio.run(main())


def test_shutdown_closes_a_generator_in_its_worker(tmp_path: Path) -> None:
    async def main(concurrency: int) -> None:
        async with pool(tmp_path, concurrency=concurrency) as executor:
            chunks = await stream(executor, order("stream", count=10**6, every=0.005))
            await chunks.__aiter__().__anext__()  # a generator that never began has no finally to run
            await executor.shutdown(0)
            assert noted(tmp_path, "finally") == concurrency
            assert noted(tmp_path, "closes") == concurrency

    asyncio.run(main(1))
    asyncio.run(main(2))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("user", ["root", "nobody"])
def test_workers_may_run_as_another_user(tmp_path: Path, user: str) -> None:
    async def main() -> None:
        async with pool(tmp_path, user=user, crash_loop_deaths=1) as executor:
            if "Permission denied" in str(executor.failure):
                pytest.skip("the user cannot read this interpreter")
            seen = json.loads((await reply(executor, order("who"))).body)
            assert seen["uid"] == pwd.getpwnam(user).pw_uid
            assert seen["env"]["USER"] == user
            with pytest.raises(WorkerDiedError):
                await run(executor, order("kill"))
            await still_works(executor)

    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o777)
    asyncio.run(main())


def test_an_unknown_user_is_a_load_failure(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, user="no-such-user", crash_loop_deaths=2) as executor:
            assert executor.state == "failed"
            assert "no-such-user" in str(executor.failure)

    asyncio.run(main())


def build(spec: ScriptedSpec, *, worker: int, context: Any, mark: str) -> Predictor:
    """A builder like that of the composition root."""
    folder = Path(spec.folder)
    (folder / mark).write_text(str(worker))
    context.defer_cleanup(lambda: (folder / "cleaned").touch())
    context.defer_stop(lambda: (folder / "stopped").touch())
    return spec.build()


def test_a_builder_prepares_the_worker_and_its_context_ends_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        options = pool_options(builder=f"{__name__}:build", builder_kwargs={"mark": "built"})
        executor = PoolExecutor(ScriptedSpec(folder=str(tmp_path)), options)
        await executor.start()
        await executor.wait_started()
        assert executor.state == "ready", executor.failure and executor.failure.detail
        assert (tmp_path / "built").read_text() == "1"
        await executor.shutdown(1)
        assert (tmp_path / "stopped").exists()
        assert (tmp_path / "cleaned").exists()

    asyncio.run(main())


def test_idle_costs_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, workers=2, max_memory_mb=1000) as executor:
            await until(lambda: states(executor) == {"ready": 2})
            await still_works(executor)
            while not await asyncio.to_thread(idle, [os.getpid(), *executor.pids()], 2):
                pass

    asyncio.run(main())


def test_bodies_of_every_size_and_place_arrive(tmp_path: Path) -> None:
    async def main() -> None:
        async with pool(tmp_path, concurrency=2) as executor:
            sizes = [100_000, 131_000, 131_060, 131_072, 140_000, 1_000_000, 12_000_000]
            calls = []
            for size in sizes:
                data = os.urandom(size)
                call = order("size")
                calls.append((data, begin(executor, type(call)(kind="predict", x=Payload(data=data, size=size)))))
            for data, task in calls:
                answer = await task
                assert isinstance(answer, Reply)
                assert answer.body == data[::-1]
            spooled = tmp_path / "spool"
            spooled.write_bytes(b"ab" * 100_000)
            payload = Payload(path=str(spooled), size=200_000)
            answer = await reply(executor, type(order("size"))(kind="predict", x=payload))
            assert answer.body == b"ba" * 100_000

    asyncio.run(main())
