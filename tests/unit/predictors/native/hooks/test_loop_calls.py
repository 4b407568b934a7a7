"""Calls of the model in the thread of its event loop: they overlap, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from drum_litestar.execution.runners import LoopRunner
from drum_litestar.execution.streaming import ThreadFlow, produce
from drum_litestar.predictors.native.hooks import loop_calls
from drum_litestar.predictors.native.hooks.custom_module import Hooks
from drum_litestar.predictors.protocol import StreamHead, StreamReply

CALLS = 300
number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=-1)


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    made = Hooks()
    yield made
    made.close()


def run_all(hooks: Hooks, jobs: list[Any]) -> list[Any]:
    """What each job returned or raised."""
    answers: list[Future[Any]] = [Future() for _ in jobs]

    def job(function: Any, answer: Future[Any]) -> None:
        try:
            answer.set_result(function())
        except BaseException as error:
            answer.set_result(error)

    for function, answer in zip(jobs, answers, strict=True):
        hooks.loop.submit(functools.partial(job, function, answer))
    return [answer.result(60) for answer in answers]


def test_all_calls_overlap_in_one_thread_and_keep_their_context(hooks: Hooks) -> None:
    arrived = 0
    complete: Future[None] = Future()

    async def hook() -> tuple[int, int]:
        nonlocal arrived
        arrived += 1
        if arrived == CALLS:
            complete.set_result(None)
        await asyncio.wrap_future(complete)
        return number.get(), threading.get_ident()

    def call(own: int) -> tuple[int, int, int]:
        number.set(own)
        seen, thread = hooks.run(hook)
        return seen, thread, number.get()

    answers = run_all(hooks, [lambda own=own: call(own) for own in range(CALLS)])
    assert [answer[0] for answer in answers] == [answer[2] for answer in answers] == list(range(CALLS))
    assert len({answer[1] for answer in answers}) == 1


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyError("x"), asyncio.CancelledError()])
def test_what_a_hook_raises_reaches_its_call_only(hooks: Hooks, error: BaseException) -> None:
    async def raising() -> None:
        await asyncio.sleep(0)
        raise error

    async def fine() -> int:
        await asyncio.sleep(0)
        return 1

    raised, good = run_all(hooks, [lambda: hooks.run(raising), lambda: hooks.run(fine)])
    assert raised is error
    assert good == 1


def test_asynchronous_streams_interleave_and_close(hooks: Hooks) -> None:
    order: list[tuple[str, int]] = []
    other_began = asyncio.Event()

    async def numbers(name: str) -> AsyncIterator[int]:
        try:
            for each in range(3):
                await asyncio.sleep(0)
                if (name, each) == ("a", 2):
                    await other_began.wait()  # for ever if the two did not interleave
                order.append((name, each))
                if name == "b":
                    other_began.set()
                yield each
        finally:
            order.append((name, -1))

    def first_of(name: str) -> int:
        items = hooks.iterate(numbers(name))
        found = next(items)
        items.close()
        return int(found)

    def failing() -> list[int]:
        async def broken() -> AsyncIterator[int]:
            yield 1
            raise ValueError("broken")

        return list(hooks.iterate(broken()))

    answers = run_all(hooks, [lambda: list(hooks.iterate(numbers("a"))), lambda: first_of("b"), failing])
    assert answers[:2] == [[0, 1, 2], 0]
    assert isinstance(answers[2], ValueError)
    assert [each for name, each in order if name == "b"] == [0, -1]
    assert order.index(("b", 0)) < order.index(("a", 2))


def test_a_synchronous_iterable_of_an_asynchronous_hook_does_not_block_others(hooks: Hooks) -> None:
    other_ran = threading.Event()

    def slow() -> Iterator[str]:
        assert other_ran.wait(60)
        yield number.get().__str__()

    def iterating() -> list[str]:
        number.set(7)
        return list(hooks.iterate(slow()))

    async def other() -> None:
        other_ran.set()

    answers = run_all(hooks, [iterating, lambda: hooks.run(other)])
    assert answers == [["7"], None]


def test_what_blocks_beside_asynchronous_hooks_may_raise_anything_and_holds_up_no_exit(hooks: Hooks) -> None:
    def raising() -> None:
        raise StopIteration("nothing")

    def threads() -> tuple[int, bool]:
        return threading.get_ident(), threading.current_thread().daemon

    raised, (thread, daemon), here = run_all(
        hooks, [lambda: hooks.loop.away(raising), lambda: hooks.loop.away(threads), threading.get_ident]
    )
    assert isinstance(raised, StopIteration)
    assert daemon
    assert thread != here


def test_the_loop_outlives_an_exit_in_a_task_of_a_hook_and_a_stop(hooks: Hooks) -> None:
    async def leaves() -> None:
        sys.exit(4)

    async def hook() -> None:
        await asyncio.wait_for(asyncio.ensure_future(leaves()), 60)

    async def stops() -> int:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return 1

    (raised,) = run_all(hooks, [lambda: hooks.run(hook)])
    assert isinstance(raised, SystemExit)
    assert run_all(hooks, [lambda: hooks.run(stops)]) == [1]
    assert hooks.run(stops) == 1


@pytest.mark.parametrize("in_loop", [True, False])
def test_a_generator_that_cancels_its_task_between_two_items_breaks_its_stream_only(
    hooks: Hooks, in_loop: bool
) -> None:
    """As ``asyncio.timeout`` around a ``yield`` does when its time is over while the reader is slow."""
    flow = ThreadFlow(hooks.loop.wait, window=1)
    sent: list[bytes] = []
    closed: list[int] = []

    async def generate() -> AsyncIterator[bytes]:
        task = asyncio.current_task()
        assert task is not None
        try:
            yield b"a"
            asyncio.get_running_loop().call_soon(task.cancel)
            if not in_loop:  # the credit that follows is waited for in the thread
                asyncio.get_running_loop().call_later(0, flow.grant, 1)
            yield b"b"
            await asyncio.Event().wait()
        finally:
            closed.append(1)

    def job() -> BaseException | None:
        def send(chunk: bytes) -> None:
            sent.append(chunk)
            if chunk == b"a":
                flow.grant(1)

        source = hooks.iterate(generate())
        return produce(StreamReply(StreamHead(), source), flow, send)

    error = run_all(hooks, [job])[0] if in_loop else job()
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__cause__, asyncio.CancelledError)
    assert (sent, closed) == ([b"a", b"b"], [1])


def test_a_call_waits_for_credit_while_others_run(hooks: Hooks) -> None:
    flow = ThreadFlow(hooks.loop.wait, window=1)
    flow.spend(1)
    other_ran = threading.Event()
    answers: list[bool] = []
    runner = LoopRunner(hooks.loop)
    runner.submit(lambda: answers.append(flow.ready()))
    runner.submit(other_ran.set)
    assert other_ran.wait(60)
    assert not answers
    flow.grant(1)
    runner.join(60)
    assert answers == [True]


def test_join_waits_for_the_calls_or_for_its_timeout(hooks: Hooks) -> None:
    release: Future[None] = Future()
    runner = LoopRunner(hooks.loop)
    ended: list[int] = []

    def call() -> None:
        hooks.loop.wait(release)
        ended.append(1)

    runner.submit(call)
    runner.join(0.01)
    assert not ended
    release.set_result(None)
    runner.join()
    assert ended == [1]


def test_closing_the_hooks_ends_calls_that_wait(hooks: Hooks) -> None:
    waiting = threading.Event()
    seen: Future[str] = Future()

    async def for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            hooks.run(for_ever)
        except BaseException as error:
            seen.set_result(type(error).__name__)

    hooks.loop.submit(call)
    assert waiting.wait(60)
    hooks.close()
    assert seen.result(60) == "CancelledError"


def test_without_greenlets_each_call_has_a_thread() -> None:
    code = (
        "import sys; sys.modules['greenlet'] = None\n"
        "from drum_litestar.predictors.native import concurrency\n"
        "from drum_litestar.predictors.native.hooks import loop_calls\n"
        "from drum_litestar.predictors.native.hooks.custom_module import Hooks\n"
        "hooks = Hooks()\n"
        "async def hook(): return 1\n"
        "print(loop_calls.AVAILABLE, concurrency.ASYNCHRONOUS, hooks.run(hook))\n"
        "hooks.close()\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "64", "1"]
    assert loop_calls.AVAILABLE
