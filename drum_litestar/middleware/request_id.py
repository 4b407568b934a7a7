"""Begin of a request: its route; and its id, which is the client's when that is harmless, else generated."""

from __future__ import annotations

import re
import uuid
from collections.abc import Set
from typing import Final

from drum_litestar.middleware.asgi import ASGIApp, Header, Receive, Scope, Send, header
from drum_litestar.middleware.response_tap import ResponseTap
from drum_litestar.request_context import request_id_var
from drum_litestar.request_state import REQUEST_ID, request_state
from drum_litestar.route_table import RouteTable

_HARMLESS: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_RESPONSE_NAMES: Final = frozenset((b"x-request-id", b"x_request_id"))


class RequestIdMiddleware:
    """Sets route and id in the :class:`RequestState`; the id also in ``scope["state"]``, for extensions, in
    ``request_id_var``, and on the response as ``X-Request-ID`` and ``X_Request_ID`` (DRUM's spelling; contract, 3.2).

    A client's ``X-Request-ID`` is kept when it is 1..128 of ``[A-Za-z0-9._:/+=-]``; anything else could split
    a log line or a header, and is replaced by a new UUID4 (contract, section 8).
    """

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self.app = app
        self.routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        offered = header(scope, b"x-request-id")
        if offered is not None and _HARMLESS.fullmatch(offered):
            request_id = offered.decode("ascii")
        else:
            request_id = str(uuid.uuid4())
        value = request_id.encode("ascii")
        request = request_state(scope)
        request.request_id = scope["state"][REQUEST_ID] = request_id
        request.route, request.path_template, request.path_values = self.routes.find(scope["path"])

        def set_id(_status: int, headers: list[Header], names: Set[bytes]) -> None:
            # The app or a proxied server may have set another id.
            if not _RESPONSE_NAMES.isdisjoint(names):
                headers[:] = [pair for pair in headers if pair[0] not in _RESPONSE_NAMES]
            headers += ((b"x-request-id", value), (b"x_request_id", value))

        tap = ResponseTap.of(send)
        tap.on_start(set_id)
        token = request_id_var.set(request_id)
        try:
            await self.app(scope, receive, tap)
        finally:
            request_id_var.reset(token)
