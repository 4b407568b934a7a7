"""The application as Ray calls it: below a route prefix, with Ray's request ids, and ready when its model is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from drum_litestar.middleware.asgi import ASGIApp, Message, Receive, Scope, Send

_REQUEST_ID = b"x-request-id"


class RayEdge:
    """Pure ASGI.

    Args:
        app: the middleware stack.
        loaded: waits, at the end of the lifespan's startup, until the model is ready or has failed: Ray sends requests
            to a replica from then on.
    """

    def __init__(self, app: ASGIApp, loaded: Callable[[], Awaitable[None]]) -> None:
        self.app = app
        self._loaded = loaded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http":

            async def without_id(message: Message) -> None:
                # Ray's proxies make an id for requests that have none, and send it themselves.
                if message["type"] == "http.response.start":
                    message["headers"] = [pair for pair in message["headers"] if pair[0].lower() != _REQUEST_ID]
                await send(message)

            await self.app(below_prefix(scope), receive, without_id)
        else:
            await self.app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def when_loaded(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._loaded()
            await send(message)

        await self.app(scope, receive, when_loaded)


def below_prefix(scope: Scope) -> Scope:
    """``scope`` with a path that begins after Ray's ``route_prefix``, which is its ``root_path``."""
    prefix = scope.get("root_path") or ""
    path = scope["path"]
    if not prefix or not (path == prefix or path.startswith(f"{prefix}/")):
        return scope
    changed = {**scope, "root_path": "", "path": path[len(prefix) :] or "/"}
    raw, raw_prefix = scope.get("raw_path"), quote(prefix).encode()
    if raw is not None:
        changed["raw_path"] = (raw[len(raw_prefix) :] or b"/") if raw.startswith(raw_prefix) else None
    return changed
