"""Deadline of a request: set here for all components, and enforced here as a backstop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import Any

from drum_litestar.errors import DeadlineExceededError
from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send, send_error
from drum_litestar.middleware.response_tap import ResponseTap
from drum_litestar.request_state import request_state


class DeadlineMiddleware:
    """Sets deadline and timeout of requests that are not of operators; a backstop answers 504.

    Body readers and the executor keep the deadline themselves and end their work in an orderly way, so the backstop
    waits ``slack`` seconds longer. It is one timer: if no response has begun when it fires, the request's
    task is cancelled where it awaits, and the cancellation is turned into a 504. A response that has begun is
    never cut.

    Args:
        app: the wrapped ASGI application.
        request_timeout: seconds for upload, queue and compute together; 0 is no deadline. A request may have a shorter
            timeout of its client's.
        slack: seconds by which the backstop lags behind the deadline.
    """

    def __init__(self, app: ASGIApp, *, request_timeout: float, slack: float = 0.25) -> None:
        self.app = app
        self.request_timeout = request_timeout
        self.slack = slack

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or request_state(scope).route.access != "client":
            return self.app(scope, receive, send)
        asked = request_state(scope).timeout
        timeout = self.request_timeout if asked is None else min(asked, self.request_timeout or asked)
        return self._limited(scope, receive, send, timeout) if timeout else self.app(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send, timeout: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        request = request_state(scope)
        request.deadline, request.timeout = deadline, timeout
        task = asyncio.current_task(loop)
        assert task is not None
        tap = ResponseTap.of(send)
        expired = False

        def expire() -> None:
            nonlocal expired
            if not tap.started:
                expired = True
                task.cancel()

        timer = loop.call_at(deadline + self.slack, expire)
        try:
            await self.app(scope, receive, tap)
        except asyncio.CancelledError:
            if not expired or tap.started or _cancelled_by_others(task):
                raise
        finally:
            timer.cancel()
        if expired and not tap.started:
            await send_error(scope, tap, DeadlineExceededError(timeout, request.request_id or None))


def _cancelled_by_others(task: asyncio.Task[Any]) -> bool:
    """Undo the backstop's cancellation; True when another one (server shutdown) is pending.

    Python 3.10 does not count cancellations: there both are undone, and the server's next one ends the task.
    """
    if sys.version_info < (3, 11):
        return False
    return task.uncancel() > 0
