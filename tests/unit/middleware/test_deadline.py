from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from asgi_calls import Answer, ask, call, http_scope, replying
from drum_litestar import scope as names
from drum_litestar.middleware.asgi import Receive, Scope, Send
from drum_litestar.middleware.deadline import DeadlineMiddleware


def limited(app: Any, timeout: float = 0.05, slack: float = 0.0) -> DeadlineMiddleware:
    return DeadlineMiddleware(app, timeout=timeout, exempt_paths=("/ping",), slack=slack)


async def hangs(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


def test_the_deadline_is_announced_in_loop_time() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["state"][names.DEADLINE] - asyncio.get_running_loop().time(), scope["state"][names.TIMEOUT]))
        await replying()(scope, receive, send)

    ask(limited(app, 600))
    ((left, timeout),) = seen
    assert 599 < left <= 600
    assert timeout == 600


@pytest.mark.parametrize(("path", "timeout"), [("/ping", 0.05), ("/predict/", 0)])
def test_exempt_paths_and_no_timeout_have_none(path: str, timeout: float) -> None:
    scope = http_scope(path)
    assert ask(limited(replying(), timeout), scope).status == 200
    assert scope["state"] == {}


def test_a_request_that_nobody_ends_is_504() -> None:
    answer = ask(limited(hangs), http_scope(state={names.REQUEST_ID: "RID1"}))
    assert answer.status == 504
    assert answer.body == b'{"message":"Request timeout after 0.05s","request_id":"RID1"}\n'


def test_the_apps_own_504_comes_first() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(scope["state"][names.DEADLINE] - loop.time())
        await replying(b"mine", 504)(scope, receive, send)

    assert ask(limited(app, slack=5)).body == b"mine"


def test_a_stream_that_has_begun_is_never_cut() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(5):
            await asyncio.sleep(0.03)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body"})

    assert ask(limited(app)).body == b"xxxxx"


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

    assert ask(limited(stubborn)).status == 504
    assert cleaned == [1]
    with pytest.raises(asyncio.CancelledError):
        ask(limited(answers))


def test_the_task_lives_on_after_a_504() -> None:
    async def main() -> tuple[Answer, int]:
        answer = await call(limited(hangs), http_scope())
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        if sys.version_info >= (3, 11):
            return answer, task.cancelling()
        return answer, 0

    answer, cancelling = asyncio.run(main())
    assert (answer.status, cancelling) == (504, 0)


def test_a_foreign_cancellation_is_passed_on() -> None:
    async def main() -> None:
        task = asyncio.ensure_future(call(limited(hangs, 60), http_scope()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="cancellations cannot be counted")
def test_a_foreign_cancellation_beside_ours_is_passed_on() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(call(limited(hangs, 0.02), http_scope()))
        await asyncio.sleep(0)
        loop.call_later(0.02, task.cancel)
        await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_no_timer_is_left_behind() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await call(limited(replying(), 0.02), http_scope())
        with pytest.raises(ValueError):
            await call(limited(fails, 0.02), http_scope())
        await asyncio.sleep(0.05)  # a forgotten timer would cancel this very task
        assert loop.is_running()

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError

    asyncio.run(main())
