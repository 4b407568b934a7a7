"""Order of startup and shutdown, interrupts, and the worker context of the HTTP process."""

from __future__ import annotations

import asyncio
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.context import WorkerContext
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.http.app import build_app
from drum_litestar.http.interrupts import Interrupt, watch_disconnect
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.request_state import RequestState
from drum_litestar.settings.groups.limits import UploadSettings
from http_serving import Mirror, StateExecutor, card, options


class Recording(InlineExecutor):
    def __init__(self, log: list[str]) -> None:
        super().__init__(lambda: Mirror(card()))
        self.log = log

    async def start(self) -> None:
        self.log.append("model starts")
        await super().start()

    async def shutdown(self, grace: float) -> None:
        await super().shutdown(grace)
        self.log.append(f"model stopped in {grace:g} s")


def test_everything_starts_in_order_and_ends_in_reverse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    directories: list[SpoolDirectory] = []

    def spool_directory(*args: Any) -> SpoolDirectory:
        directories.append(SpoolDirectory(*args))
        return directories[-1]

    monkeypatch.setattr("drum_litestar.http.app.SpoolDirectory", spool_directory)

    async def start_async(context: WorkerContext) -> None:
        assert context.running
        log.append("hook 2")
        context.defer_stop(lambda: log.append("stop"))
        context.defer_cleanup(lambda: log.append("cleanup"))

    def failing(context: WorkerContext) -> None:
        log.append("shutdown hook 2")
        raise ValueError("boo")

    executor = Recording(log)
    app = build_app(
        executor,
        options(
            uploads=UploadSettings(spool_dir=str(tmp_path)),
            on_startup=(lambda _: log.append("hook 1"), start_async),
            on_shutdown=(lambda _: log.append("shutdown hook 1"), failing),
        ),
    )

    async def run() -> None:
        async with app.lifespan():
            log.append("serving")
            await executor.wait_started()
            directories[0].create()[0].close()

    with pytest.raises(Exception) as caught:  # Litestar's event emitter wraps it in a group
        asyncio.run(run())
    assert "boo" in "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert log == [
        "hook 1",
        "hook 2",
        "model starts",
        "serving",
        "model stopped in 5 s",
        "stop",
        "cleanup",
        "shutdown hook 2",
        "shutdown hook 1",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_failing_startup_hook_undoes_what_had_started() -> None:
    log: list[str] = []

    def failing(context: WorkerContext) -> None:
        context.defer_cleanup(lambda: log.append("cleanup"))
        raise ValueError("boo")

    app = build_app(Recording(log), options(on_startup=(failing,)))

    async def run() -> None:
        async with app.lifespan():
            pass

    with pytest.raises(Exception) as caught:  # Litestar's event emitter wraps it in a group
        asyncio.run(run())
    assert "boo" in "".join(traceback.format_exception(caught.type, caught.value, caught.tb))
    assert log == ["cleanup"]


def test_build_app_reads_nothing_and_starts_nothing() -> None:
    app = build_app(StateExecutor("failed"), options())
    assert app.openapi_config is None
    assert app.logging_config is None


def test_an_interrupt_is_absorbed_by_the_task_that_created_it_only() -> None:
    async def run() -> None:
        interrupt = Interrupt()
        asyncio.get_running_loop().call_soon(interrupt.fire, "deadline")
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        assert interrupt.absorb()
        assert interrupt.reason == "deadline"
        await asyncio.sleep(0)  # nothing is left pending

    asyncio.run(run())


def test_the_first_reason_stands() -> None:
    async def run() -> Any:
        interrupt = Interrupt()
        interrupt.fire("disconnect")
        interrupt.fire("deadline")
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return interrupt.absorb(), interrupt.reason

    assert asyncio.run(run()) == (True, "disconnect")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="3.10 cannot count cancellations")
def test_a_foreign_cancellation_is_not_absorbed() -> None:
    async def victim(with_own: bool) -> None:
        interrupt = Interrupt()
        if with_own:
            interrupt.fire("deadline")
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            assert not interrupt.absorb()
            raise

    async def run(with_own: bool) -> None:
        task = asyncio.ensure_future(victim(with_own))
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(run(False))
    asyncio.run(run(True))


def test_the_watch_without_a_protocol_hook_ends_with_the_request() -> None:
    async def run() -> None:
        never = asyncio.Event()

        async def receive() -> Any:
            await never.wait()

        interrupt = Interrupt()
        unwatch = watch_disconnect(RequestState(), receive, interrupt)
        await asyncio.sleep(0)
        unwatch()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert interrupt.reason is None

    asyncio.run(run())
