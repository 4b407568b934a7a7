"""WorkerContext and the stdout flusher."""

from __future__ import annotations

import asyncio
import io
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from drum_litestar.context import StdoutFlusher, WorkerContext
from drum_litestar.execution.pool.interpreter import command
from support.environments.worker_pythons import find_python


def close_in_loop(context: WorkerContext) -> None:
    """Close from the event loop, as the HTTP process does."""

    async def run() -> None:
        await context.aclose()

    asyncio.run(run())


CLOSERS: list[Callable[[WorkerContext], None]] = [WorkerContext.close, close_in_loop]
both = pytest.mark.parametrize("close", CLOSERS, ids=["without a loop", "in a loop"])


@both
def test_stop_ascends_and_cleanup_descends(close: Callable[[WorkerContext], None]) -> None:
    context = WorkerContext("test")
    log: list[str] = []

    def note(what: str) -> Callable[[], None]:
        return lambda: log.append(what)

    async def note_later() -> None:
        await asyncio.sleep(0)
        log.append("stop 1 async")

    context.start()
    assert context.running
    context.defer_cleanup(note("cleanup 0 first"))
    context.defer_cleanup(note("cleanup 5"), order=5)
    context.defer_cleanup(note("cleanup 0 second"))
    context.defer_stop(note("stop 2"), order=2)
    context.defer_stop(note_later, order=1)
    context.defer_stop(note("stop 1"), order=1)
    context.defer_stop(note("stop -1"), order=-1)
    close(context)
    assert log == [
        "stop -1",
        "stop 1 async",
        "stop 1",
        "stop 2",
        "cleanup 5",
        "cleanup 0 second",
        "cleanup 0 first",
    ]
    assert not context.running
    close(context)  # idempotent
    assert len(log) == 7


@both
def test_a_failing_callback_skips_nothing(
    close: Callable[[WorkerContext], None], caplog: pytest.LogCaptureFixture
) -> None:
    context = WorkerContext("test")
    log: list[str] = []

    def fail() -> None:
        raise ValueError("sync")

    async def fail_later() -> None:
        raise ValueError("async")

    def leave() -> None:
        raise SystemExit(3)

    async def cancelled() -> None:
        raise asyncio.CancelledError

    context.start()
    for callback in (fail, fail_later, leave, cancelled):
        context.defer_stop(callback)
        context.defer_cleanup(callback)
    context.defer_stop(lambda: log.append("stop"), order=1)
    context.defer_cleanup(lambda: log.append("cleanup"), order=-1)
    close(context)
    assert log == ["stop", "cleanup"]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 8


@both
def test_callbacks_may_register_more(close: Callable[[WorkerContext], None]) -> None:
    context = WorkerContext("test")
    log: list[str] = []
    context.start()
    context.defer_stop(lambda: context.defer_stop(lambda: log.append("later stop")))
    context.defer_cleanup(lambda: context.defer_cleanup(lambda: log.append("later cleanup")))
    close(context)
    assert log == ["later stop", "later cleanup"]
    with pytest.raises(RuntimeError, match="'test' has ended"):
        context.defer_stop(print)
    with pytest.raises(RuntimeError, match="'test' has ended"):
        context.start()


@both
def test_an_asynchronous_callback_that_hangs_is_given_up(
    close: Callable[[WorkerContext], None], caplog: pytest.LogCaptureFixture
) -> None:
    context = WorkerContext("test", callback_timeout=0.05)
    log: list[str] = []

    async def hang() -> None:
        await asyncio.Event().wait()

    context.defer_stop(hang)
    context.defer_cleanup(lambda: log.append("cleanup"))
    close(context)
    assert log == ["cleanup"]
    assert "did not end in 0.05 s" in caplog.text


@both
def test_threads_are_told_and_joined(close: Callable[[WorkerContext], None]) -> None:
    context = WorkerContext("test")
    log: list[str] = []

    def work() -> None:
        assert context.stopping.wait(60)
        log.append("thread")

    context.start()
    thread = context.add_thread(threading.Thread(target=work))
    thread.start()
    context.defer_cleanup(lambda: log.append("cleanup"))
    close(context)
    assert log == ["thread", "cleanup"]
    assert not thread.is_alive()


JOINS = """
import threading
from drum_litestar.context import WorkerContext
context = WorkerContext("worker-1")
context.start()
context.add_thread(threading.Thread(target=context.stopping.wait)).start()
context.defer_cleanup(lambda: print("cleanup"))
context.close()
"""


def test_threads_are_joined_in_the_oldest_python_of_a_model_worker() -> None:
    python = str(find_python("3.8"))
    done = subprocess.run(command(python, JOINS), capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("cleanup\n", "", 0)


@both
def test_a_thread_that_does_not_end_is_named(
    close: Callable[[WorkerContext], None], caplog: pytest.LogCaptureFixture
) -> None:
    context = WorkerContext("test", join_timeout=0.05)
    let_go = threading.Event()
    thread = context.add_thread(threading.Thread(target=let_go.wait, name="stubborn"))
    thread.start()
    close(context)
    assert "stubborn" in caplog.text
    let_go.set()
    thread.join()


def test_tasks_are_cancelled_and_awaited(caplog: pytest.LogCaptureFixture) -> None:
    context = WorkerContext("test")
    log: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("task")

    async def fail() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("boo")

    async def run() -> None:
        context.start()
        context.add_task(asyncio.ensure_future(work()))
        context.add_task(asyncio.ensure_future(fail()))
        done = context.add_task(asyncio.ensure_future(asyncio.sleep(0)))
        await done
        context.defer_cleanup(lambda: log.append("cleanup"))
        await context.aclose()

    asyncio.run(run())
    assert log == ["task", "cleanup"]
    assert "ValueError: boo" in caplog.text


def test_a_cancelled_closer_still_finishes() -> None:
    context = WorkerContext("test")
    log: list[str] = []

    async def run() -> None:
        entered, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            entered.set()
            await go_on.wait()

        context.defer_stop(slow)
        context.defer_cleanup(lambda: log.append("cleanup"))
        closing = asyncio.ensure_future(context.aclose())
        await entered.wait()
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()

    asyncio.run(run())
    assert log == ["cleanup"]


class Stdout(io.StringIO):
    """Counts flushes."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0
        self.flushed = threading.Event()

    def flush(self) -> None:
        self.flushes += 1
        self.flushed.set()


def replace_stdout(monkeypatch: pytest.MonkeyPatch) -> Stdout:
    """Called in the test itself, because pytest's capturing sets its own stream after the fixtures."""
    stream = Stdout()
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def test_stdout_is_flushed_once_after_the_last_call(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = replace_stdout(monkeypatch)
    now = 0.0
    flusher = StdoutFlusher(delay=0.01, clock=lambda: now)
    threads = [thread.name for thread in threading.enumerate()]
    assert "stdout-flusher" not in threads  # nothing before the first call
    for _ in range(50):
        flusher.touch()
    assert stdout.flushes == 0
    now += 1
    assert stdout.flushed.wait(60)
    assert stdout.flushes == 1
    stdout.flushed.clear()
    flusher.touch()
    now += 1
    assert stdout.flushed.wait(60)
    assert stdout.flushes == 2
    flusher.close()
    assert stdout.flushes == 3
    flusher.touch()  # harmless afterwards


def test_close_does_not_wait_for_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = replace_stdout(monkeypatch)
    flusher = StdoutFlusher(delay=3600)
    flusher.touch()
    flusher.close()
    assert stdout.flushes == 1


def test_close_in_the_moment_of_a_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """``close`` is called while the thread is between waking up and flushing."""
    stdout = replace_stdout(monkeypatch)

    class Armed(threading.Event):
        closed = threading.Event()

        def set(self) -> None:
            super().set()
            if flusher._closing.is_set():
                self.closed.set()

        def clear(self) -> None:
            assert self.closed.wait(60)
            super().clear()

    flusher = StdoutFlusher(delay=0)
    flusher._armed = Armed()
    flusher.touch()
    closing = threading.Thread(target=flusher.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    assert stdout.flushes == 1


@pytest.mark.parametrize("broken", [None, "closed"])
def test_a_broken_stdout_is_survived(monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    stream: Any = broken and io.TextIOWrapper(io.BytesIO())
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    flusher = StdoutFlusher(delay=0.01)
    flusher.touch()
    flusher.close()
