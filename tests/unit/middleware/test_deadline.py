from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from asgi_calls import Answer, ask, call, http_scope, replying
from drum_litestar.middleware.asgi import Receive, Scope, Send
from drum_litestar.middleware.deadline import DeadlineMiddleware
from drum_litestar.request_state import request_state
from routed import routed
from support import clock
from support.clock import LATER, advance


def limited(app: Any, timeout: float = LATER, slack: float = 0.0) -> DeadlineMiddleware:
    return DeadlineMiddleware(app, request_timeout=timeout, slack=slack)


async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


async def ask_past_the_deadline(app: Any, scope: Scope | None = None) -> Answer:
    """The answer to a request whose deadline passes once nothing else goes on."""
    task = asyncio.ensure_future(call(app, scope or http_scope()))
    await asyncio.sleep(0)
    await advance(LATER)
    return await task


def test_the_deadline_is_announced_in_loop_time() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((request_state(scope).deadline, request_state(scope).timeout))
        await replying()(scope, receive, send)

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await call(limited(app, 600), http_scope())
        return before, loop.time()

    before, after = asyncio.run(main())
    ((deadline, timeout),) = seen
    assert before + 600 <= deadline <= after + 600
    assert timeout == 600


@pytest.mark.parametrize(("path", "timeout"), [("/ping", LATER), ("/predict/", 0)])
def test_exempt_paths_and_no_timeout_have_none(path: str, timeout: float) -> None:
    scope = http_scope(path)
    assert ask(routed(limited(replying(), timeout)), scope).status == 200
    assert (request_state(scope).deadline, request_state(scope).timeout) == (None, None)


def test_a_request_that_nobody_ends_is_504() -> None:
    scope = http_scope()
    request_state(scope).request_id = "RID1"
    answer = clock.run(ask_past_the_deadline(limited(hangs), scope))
    assert answer.status == 504
    assert answer.body == b'{"message":"Request timeout after 3600s","request_id":"RID1"}\n'


def test_the_apps_own_504_comes_first() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        deadline = request_state(scope).deadline
        assert deadline is not None
        await asyncio.sleep(deadline - loop.time())
        await replying(b"mine", 504)(scope, receive, send)

    assert clock.run(ask_past_the_deadline(limited(app, slack=LATER))).body == b"mine"


def test_a_stream_that_has_begun_is_never_cut() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2):
            await advance(LATER)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body"})

    assert clock.run(call(limited(app), http_scope())).body == b"xx"


def test_cleanup_runs_and_what_it_says_is_not_a_second_answer() -> None:
    cleaned = []

    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await hangs(scope, receive, send)
        except asyncio.CancelledError:
            cleaned.append(1)  # and no answer, and no re-raise

    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await hangs(scope, receive, send)
        finally:
            await replying(b"own", 500)(scope, receive, send)

    assert clock.run(ask_past_the_deadline(limited(stubborn))).status == 504
    assert cleaned == [1]
    with pytest.raises(asyncio.CancelledError):
        clock.run(ask_past_the_deadline(limited(answers)))


def test_the_task_lives_on_after_a_504() -> None:
    async def connection() -> tuple[Answer, int]:
        answer = await call(limited(hangs), http_scope())
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        if sys.version_info >= (3, 11):
            return answer, task.cancelling()
        return answer, 0

    async def main() -> tuple[Answer, int]:
        task = asyncio.ensure_future(connection())
        await asyncio.sleep(0)
        await advance(LATER)
        return await task

    answer, cancelling = clock.run(main())
    assert (answer.status, cancelling) == (504, 0)


def test_a_foreign_cancellation_is_passed_on() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(call(limited(hangs), http_scope()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="cancellations cannot be counted")
def test_a_foreign_cancellation_beside_ours_is_passed_on() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(call(limited(hangs), http_scope()))
        await asyncio.sleep(0)
        # Due just before ours, so that both are made in one iteration of the loop, before the task runs again.
        asyncio.get_running_loop().call_later(LATER / 2, task.cancel)
        await advance(LATER)
        with pytest.raises(asyncio.CancelledError):
            await task
        if sys.version_info >= (3, 11):
            assert task.cancelling() == 1  # ours was taken back

    clock.run(main())


def test_no_timer_is_left_behind() -> None:
    async def main() -> None:
        await call(limited(replying()), http_scope())
        with pytest.raises(ValueError):
            await call(limited(fails), http_scope())
        await advance(LATER)  # a forgotten timer would cancel this very task

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    clock.run(main())
