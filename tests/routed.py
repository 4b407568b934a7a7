"""What the outermost middlewares do for a request: they find its route, and give it a place among the model's calls."""

from __future__ import annotations

from typing import Any

from drum_litestar.execution.executor import Executor
from drum_litestar.execution.queue_limits import Place
from drum_litestar.http.app_options import AppOptions, normalize_prefix
from drum_litestar.http.routes import ROUTES
from drum_litestar.middleware.asgi import ASGIApp, Receive, Scope, Send
from drum_litestar.middleware.body_limit import BodyLimitMiddleware
from drum_litestar.middleware.request_admission import AdmissionMiddleware
from drum_litestar.request_state import request_state
from drum_litestar.route_table import Route, RouteTable

PROBES, OPERATORS = (
    [path for route in ROUTES if route.access == access for path in route.paths] for access in ("probe", "operator")
)
MODEL_POSTS = [path for route in ROUTES if route.calls_model and "POST" in route.methods for path in route.paths]


def routed(app: ASGIApp, url_prefix: str = "", more: tuple[Route, ...] = ()) -> ASGIApp:
    """``app``, whose requests know their routes: DRUM's, and ``more``."""
    table = RouteTable((*ROUTES, *more), normalize_prefix(url_prefix))

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = request_state(scope)
            request.route, request.path_template, request.path_values = table.find(scope["path"])
        await app(scope, receive, send)

    return wrapped


def admitted(app: Any, executor: Executor, options: AppOptions) -> ASGIApp:
    """``app`` as the stack serves it, with admission and the limit of bodies alone."""
    inner = AdmissionMiddleware(app, new_place=lambda: Place(executor.admit))
    limited = BodyLimitMiddleware(inner, max_upload_size=options.uploads.max_upload_size)
    return routed(limited, options.url_prefix, options.protocol_routes)
