from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import termios
import threading
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution import invoke
from drum_litestar.execution.pool import memory, process
from drum_litestar.execution.pool.supervisor import CrashLoop
from drum_litestar.execution.runners import ComputeThreads
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Predictor, Reply
from support.predictors.executors import until


def loop(**options: Any) -> CrashLoop:
    return CrashLoop(**{"deaths": 3, "window": 60.0, "backoff": 0.5, "backoff_limit": 3.0, **options})


def test_back_off_doubles_up_to_its_limit_until_one_is_ready() -> None:
    crashes = loop(deaths=10)
    assert [crashes.died(0.0) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    crashes.cleared()
    assert crashes.died(0.0) == 0.5


def test_the_cap_counts_deaths_within_the_window() -> None:
    crashes = loop()
    for now in (0.0, 40.0, 80.0):
        crashes.died(now)
    assert not crashes.exhausted
    crashes.died(90.0)
    assert crashes.exhausted
    crashes.cleared()
    assert not crashes.exhausted


def test_headroom_is_compared_with_what_a_running_worker_uses() -> None:
    size = memory.resident(os.getpid())
    assert size > 10_000_000
    assert memory.MemoryGuard(None, 0).fits(os.getpid())
    assert memory.MemoryGuard(lambda: None, 0).fits(os.getpid())
    assert memory.MemoryGuard(lambda: 2 * size, 0).fits(os.getpid())
    assert not memory.MemoryGuard(lambda: 2 * size, 0).fits(os.getpid(), copies=2)
    assert memory.resident(2**22 + 1) == 0


def test_the_memory_limit_is_checked_at_intervals() -> None:
    async def main() -> None:
        guard = memory.MemoryGuard(None, 1)
        assert guard.too_large(os.getpid())
        assert not guard.too_large(os.getpid())
        guard.forget(os.getpid())
        assert guard.too_large(os.getpid())
        assert not memory.MemoryGuard(None, 0).too_large(os.getpid())

    asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "exit code 0"), (7, "exit code 7"), (-signal.SIGSEGV, "signal SIGSEGV"), (-250, "signal 250")],
)
def test_exits_are_described(code: int, text: str) -> None:
    assert process.describe_exit(code) == text


def unread(pipe: int) -> int:
    """Bytes in a pipe that have not been read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def test_output_is_cut_into_lines() -> None:
    async def main() -> list[str]:
        lines: list[str] = []
        reading, writing = os.pipe()
        pipe = process._OutputPipe(asyncio.get_running_loop(), os.fdopen(reading, "rb", 0), lines.append)
        os.write(writing, b"one\ntw")
        os.write(writing, b"o\n\nno end")
        pipe.close()
        pipe.close()
        os.close(writing)

        reading, writing = os.pipe()
        pipe = process._OutputPipe(asyncio.get_running_loop(), os.fdopen(reading, "rb", 0), lines.append)
        for _ in range(3):
            os.write(writing, b"\xff" * 40_000)
            await until(lambda: unread(writing) == 0)
        os.close(writing)
        await until(lambda: len(lines) == 6)
        return lines

    lines = asyncio.run(main())
    assert lines[:4] == ["one", "two", "", "no end"]
    assert [len(line) for line in lines[4:]] == [80_000, 40_000]


def test_threads_run_jobs_in_order_and_end() -> None:
    seen: list[int] = []
    threads = ComputeThreads(1, "t")
    for number in range(5):
        threads.submit(lambda number=number: seen.append(number))  # type: ignore[misc]
    threads.join()
    assert seen == list(range(5))


def test_a_join_that_a_signal_interrupts_can_be_repeated() -> None:
    class Stop(BaseException):
        pass

    def handler(*_: object) -> None:
        if not raised.is_set():
            raised.set()
            raise Stop

    go, raised, seen = threading.Event(), threading.Event(), []

    def job() -> None:
        # A signal just before the main thread blocks does not end its wait: repeat it until the handler has run.
        while not raised.wait(0.01):
            os.kill(os.getpid(), signal.SIGUSR1)
        go.wait(60)
        seen.append("done")

    former = signal.signal(signal.SIGUSR1, handler)
    try:
        threads = ComputeThreads(1, "t")
        with pytest.raises(Stop):  # noqa: PT012
            threads.submit(job)
            threads.join(60)
        threads.join(0.01)
        assert seen == []
        go.set()
        threads.join(60)
        assert seen == ["done"]
    finally:
        signal.signal(signal.SIGUSR1, former)


def caused_by(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


class Broken:
    """A predictor whose methods raise ``error``."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.closed = 0

    def load(self) -> ModelCard:
        raise self.error

    def handle(self, call: ModelCall) -> Reply:
        raise self.error

    def close(self) -> None:
        self.closed += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ModelLoadError("its text", exit_code=3), "its text"),
        (caused_by(ModelLoadError("its text"), KeyError("k")), "its text"),
        (KeyError("k"), "'k'"),
        (MemoryError(), "MemoryError"),
        (SystemExit(2), "the model called sys.exit(2) while loading"),
    ],
)
def test_whatever_load_raises_is_a_load_error(error: BaseException, text: str) -> None:
    predictor = Broken(error)
    with pytest.raises(ModelLoadError) as caught:
        invoke.load(lambda: predictor)
    assert str(caught.value) == text
    explained = isinstance(error, ModelLoadError) and error.__cause__ is None
    assert bool(caught.value.detail) is not explained
    assert caught.value.exit_code == getattr(error, "exit_code", 1)
    assert predictor.closed == 1


def test_a_signal_is_not_a_load_error() -> None:
    with pytest.raises(KeyboardInterrupt):
        invoke.load(lambda: predictor_that_is_interrupted())


def predictor_that_is_interrupted() -> Predictor:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError("é"), "ERROR: \\u00e9"), (MemoryError(), "ERROR: MemoryError"), (SystemExit(1), "ERROR: sys.exit(1)")],
)
def test_whatever_handle_raises_is_an_answer(error: BaseException, text: str) -> None:
    answer = invoke.invoke(Broken(error), ModelCall(kind="predict"))
    assert isinstance(answer, Reply)
    assert (answer.status, answer.body) == (500, f'{{"message":"{text}"}}\n'.encode())
