"""The order of the middleware stack, in one place.

::

    server (uvicorn; its proxy handling has already put the real client into the scope)
      │
      ▼
    request id         first, so that all others can log the id, and know the route
    access log         logs and times every answer, refusals included
    security headers   on every answer
    server error       answers exceptions of everything below
    CORS               answers preflights, which browsers send without credentials;
                       its headers make refusals below readable for an allowed page
    connection limit   (with a limit) 503 before any work on the request
    auth               (with a token) 401 before the request is counted, queued or read;
                       and rate limit may trust a key header
    body limit         413 from Content-Length before other work on the request
    rate limit         429 before a ticket is taken
    admission          503; the last refusal that needs no admitted request
    request decoding   415, and 413 for a body that becomes too large; only for an
                       admitted request, since undoing a compression is work
    deadline           504 as a backstop; innermost, since it cancels the app
    compression        (with a size) answers of the application alone; the others are short
      │
      ▼
    Litestar

The stack wraps the application from outside, because Litestar's own middlewares do not run for 404 and 405.
Middlewares that the options switch off are left out, not skipped at each request.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from drum_litestar.middleware.access_log import AccessLogMiddleware, OnRequestEnd
from drum_litestar.middleware.asgi import ASGIApp, OnRejected
from drum_litestar.middleware.auth import AuthMiddleware
from drum_litestar.middleware.body_limit import BodyLimitMiddleware
from drum_litestar.middleware.connection_limit import ConnectionLimitMiddleware
from drum_litestar.middleware.content_coding.request_decoding import RequestDecodingMiddleware
from drum_litestar.middleware.content_coding.response_compression import ResponseCompressionMiddleware
from drum_litestar.middleware.cors import CORSMiddleware
from drum_litestar.middleware.deadline import DeadlineMiddleware
from drum_litestar.middleware.rate_limit import RateLimitMiddleware, SharedStore
from drum_litestar.middleware.request_admission import AdmissionMiddleware
from drum_litestar.middleware.request_id import RequestIdMiddleware
from drum_litestar.middleware.security_headers import SecurityHeadersMiddleware
from drum_litestar.middleware.server_error import ServerErrorMiddleware
from drum_litestar.request_state import Place
from drum_litestar.route_table import RouteTable
from drum_litestar.settings.groups.edge import (
    AccessSettings,
    AnswerSettings,
    CorsSettings,
    LogSettings,
    RateLimitSettings,
)
from drum_litestar.settings.groups.limits import ConnectionSettings, TimeoutSettings, UploadSettings


@dataclass(frozen=True)
class StackOptions:
    """Options of the stack: groups of settings, and what else it needs."""

    drum_version: str
    """``X-Drum-Version``."""
    server_version: str
    """Version of drum-litestar, for ``X-Drum-Server``."""
    uploads: UploadSettings = UploadSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    connections: ConnectionSettings = ConnectionSettings()
    answers: AnswerSettings = AnswerSettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    cors: CorsSettings = CorsSettings()
    access: AccessSettings = field(default=AccessSettings(), repr=False)
    log: LogSettings = LogSettings()
    show_stacktrace: bool = False


def build_stack(
    app: Callable[..., Awaitable[None]],
    options: StackOptions,
    *,
    routes: RouteTable,
    new_place: Callable[[], Place],
    on_request_start: Callable[[], None] | None = None,
    on_request_end: OnRequestEnd | None = None,
    on_rejected: OnRejected | None = None,
    shared_store: SharedStore | None = None,
    mask: Callable[[str], str] = str,
    clock: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """Wrap ``app`` in the stack.

    Args:
        app: the Litestar application (any ASGI application).
        options: see :class:`StackOptions`.
        routes: all routes of the server's own.
        new_place: makes a request's place among the calls of the model.
        on_request_start: called at the beginning of each HTTP request, for metrics.
        on_request_end: called at its end, with method, path, route template, status and seconds.
        on_rejected: called with ``connection_limit``, ``unauthorized``, ``body_too_large`` or ``rate_limit`` when the
            stack refuses a request; the executor counts those that admission refuses.
        shared_store: rate-limit store common to several replicas.
        mask: masks secrets in tracebacks that are sent.
        clock: monotonic seconds, of the rate limit.
    """
    if options.answers.compress_above is not None:
        app = ResponseCompressionMiddleware(app, above=options.answers.compress_above)
    app = DeadlineMiddleware(app, request_timeout=options.timeouts.request_timeout)
    decoded = BodyLimitMiddleware(app, max_upload_size=options.uploads.max_upload_size, on_rejected=on_rejected)
    app = RequestDecodingMiddleware(app, counted=decoded.counted)
    app = AdmissionMiddleware(app, new_place=new_place)
    if options.rate_limit.enabled:
        app = RateLimitMiddleware(
            app,
            rpm=options.rate_limit.rpm,
            burst=options.rate_limit.burst,
            key_header=options.rate_limit.key_header,
            shared_store=shared_store,
            clock=clock,
            on_rejected=on_rejected,
        )
    app = BodyLimitMiddleware(app, max_upload_size=options.uploads.max_upload_size, on_rejected=on_rejected)
    if options.access.api_token:
        app = AuthMiddleware(app, api_token=options.access.api_token, on_rejected=on_rejected)
    if options.connections.max_connections is not None:
        app = ConnectionLimitMiddleware(app, on_rejected=on_rejected)
    if options.cors.enabled:
        app = CORSMiddleware(app, origins=options.cors.origins)
    app = ServerErrorMiddleware(app, show_stacktrace=options.show_stacktrace, mask=mask)
    app = SecurityHeadersMiddleware(app, drum_version=options.drum_version, server_version=options.server_version)
    app = AccessLogMiddleware(
        app, on_request_start=on_request_start, on_request_end=on_request_end, probes=options.log.probes
    )
    return RequestIdMiddleware(app, routes)
