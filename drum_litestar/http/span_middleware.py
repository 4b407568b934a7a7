"""Request spans, named as DRUM names them (contract, 5.6)."""

from __future__ import annotations

from typing import Final

from drum_litestar.http.app_options import normalize_prefix
from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send, state
from drum_litestar.middleware.paths import MODEL_SPANS, path_set
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.scope import SPAN

PROXY_SPAN: Final = "drum.directAccess"
PROXY_PATHS: Final = ("/directAccess/", "/nim/")


class SpanMiddleware:
    """Opens a span for each request to the model, in ``scope["state"]`` under ``scope.SPAN``.

    The span ends with the last byte of the response. Other routes, probes among them, are not traced. Installed only
    when spans are exported.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, url_prefix: str) -> None:
        prefix = normalize_prefix(url_prefix)
        self.app = app
        self._tracing = tracing
        self._names = {path: name for name, paths in MODEL_SPANS.items() for path in path_set(paths, prefix)}
        self._proxied = tuple(prefix + path for path in PROXY_PATHS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"] if scope["type"] == "http" else ""
        name = self._names.get(path) or (PROXY_SPAN if path.startswith(self._proxied) else None)
        if name is None:
            await self.app(scope, receive, send)
            return
        with self._tracing.request_span(name, scope["headers"]) as span:
            state(scope)[SPAN] = span
            await self.app(scope, receive, send)
