"""Admission before the body is read: a full server refuses a request without taking its upload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from drum_litestar.errors import RequestError
from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send, send_error
from drum_litestar.request_state import Place, request_state


class AdmissionMiddleware:
    """Owns the place of each request that calls the model: takes it before the body of a POST is read, and gives it
    back when the response has ended or failed, if the application has not done so before.

    The place is in :attr:`RequestState.place`; a request without a body takes it there when it needs it. A refused
    request gets the error of ``take()``, which the executor has counted.
    """

    def __init__(self, app: ASGIApp, *, new_place: Callable[[], Place]) -> None:
        self.app = app
        self.new_place = new_place

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or not request_state(scope).route.calls_model:
            return self.app(scope, receive, send)
        return self._admitted(scope, receive, send)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_state(scope)
        place = request.place = self.new_place()
        if scope["method"] == "POST" and "POST" in request.route.methods:
            try:
                place.take()
            except RequestError as error:
                await send_error(scope, send, error)
                return
        try:
            await self.app(scope, receive, send)
        finally:
            place.give_back()
