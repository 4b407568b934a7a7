"""One span for each request to the model, named as DRUM names it (contract, 5.6)."""

from __future__ import annotations

from typing import Final

from drum_litestar.http.app_options import normalize_prefix
from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send, state
from drum_litestar.middleware.paths import path_set
from drum_litestar.observability.tracing.request_tracing import Tracing
from drum_litestar.scope import SPAN

SPANS: Final = {
    "drum.invocations": ("/predict", "/predictions", "/invocations", "/predictionsStream"),
    "drum.transform": ("/transform",),
    "drum.predictUnstructured": ("/predictUnstructured", "/predictionsUnstructured"),
    "drum.chat.completions": ("/chat/completions", "/v1/chat/completions"),
}
PROXY_SPAN: Final = "drum.directAccess"
PROXY_PATHS: Final = ("/directAccess/", "/nim/")


class RequestTracing:
    """Around the application: opens the span of a request and leaves it in ``scope["state"]`` for whoever learns more.

    The span ends with the last byte of the answer. Other routes are not traced, health routes among them. Installed
    only when spans are exported, so that it costs nothing otherwise.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing, url_prefix: str) -> None:
        prefix = normalize_prefix(url_prefix)
        self.app = app
        self._tracing = tracing
        self._names = {path: name for name, paths in SPANS.items() for path in path_set(paths, prefix)}
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
