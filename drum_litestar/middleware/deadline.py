"""The request's deadline: announced to all, enforced here only when everyone else has failed to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Container
from typing import Any

from drum_litestar import scope as names
from drum_litestar.errors import DeadlineExceededError
from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send, send_error, state
from drum_litestar.middleware.response_tap import Responder


class DeadlineMiddleware:
    """Sets ``DEADLINE`` (event-loop time) and ``TIMEOUT`` in ``scope["state"]``; a backstop answers 504.

    Body reading and the executor honour the deadline themselves and know better how to end their work, so the
    backstop waits ``slack`` seconds longer. It is one timer: if no response has begun when it fires, the request's
    task is cancelled where it awaits, and the cancellation is turned into a 504. A response that has begun is
    never cut.

    Args:
        app: the wrapped ASGI application.
        timeout: allowance in seconds for upload, queue and compute together; 0 is none.
        exempt_paths: paths without a deadline.
        slack: seconds by which the backstop lags behind the deadline.
    """

    def __init__(self, app: ASGIApp, *, timeout: float, exempt_paths: Container[str], slack: float = 0.25) -> None:
        self.app = app
        self.timeout = timeout
        self.exempt_paths = exempt_paths
        self.slack = slack

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or not self.timeout or scope["path"] in self.exempt_paths:
            return self.app(scope, receive, send)
        return self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.timeout
        shared = state(scope)
        shared[names.DEADLINE] = deadline
        shared[names.TIMEOUT] = self.timeout
        task = asyncio.current_task(loop)
        assert task is not None
        responder = Responder.of(send)
        expired = False

        def expire() -> None:
            nonlocal expired
            if not responder.started:
                expired = True
                task.cancel()

        timer = loop.call_at(deadline + self.slack, expire)
        try:
            await self.app(scope, receive, responder)
        except asyncio.CancelledError:
            if not expired or responder.started or _cancelled_by_others(task):
                raise
        finally:
            timer.cancel()
        if expired and not responder.started:
            await send_error(responder, DeadlineExceededError(self.timeout, shared.get(names.REQUEST_ID)))


def _cancelled_by_others(task: asyncio.Task[Any]) -> bool:
    """Take our own cancellation back; True when another one (server shutdown) is still due.

    Python 3.10 cannot count cancellations: there the two are taken for ours, and the server's next one ends the task.
    """
    if sys.version_info < (3, 11):
        return False
    return task.uncancel() > 0
