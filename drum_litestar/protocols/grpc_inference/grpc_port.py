"""The gRPC port, built from the parts of the server. Its packages are imported only where it is wanted."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from drum_litestar.execution.executor import Executor
from drum_litestar.execution.queue_limits import Place
from drum_litestar.extras import require
from drum_litestar.http.app_options import AppOptions
from drum_litestar.http.dispatcher import TableApp
from drum_litestar.http.service import ModelService
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.middleware.access_log import OnRequestEnd
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.middleware.auth import has_token
from drum_litestar.middleware.rate_limit import SharedStore
from drum_litestar.middleware.stack import StackOptions, build_stack
from drum_litestar.route_table import RouteTable
from drum_litestar.server.uvicorn_server import CallListener
from drum_litestar.settings.groups.edge import AnswerSettings, CorsSettings, TlsSettings
from drum_litestar.settings.groups.limits import ConnectionSettings
from drum_litestar.settings.masking import masked

EXTRA: Final = "grpc"


def make_grpc_listener(
    executor: Executor,
    options: AppOptions,
    stack: StackOptions,
    *,
    traced: Callable[[ASGIApp], ASGIApp],
    on_request_end: OnRequestEnd | None,
    sockets: Sequence[socket.socket],
    tls: TlsSettings,
    shared_store: SharedStore | None,
) -> CallListener:
    """The listener on ``sockets``. ``options`` and ``stack`` are the main port's: what is about browsers, and about
    connections of HTTP/1, is left out. Raises MissingExtraError."""
    for module in ("grpc", "grpc_health", "grpc_reflection"):
        require(module, "DRUM_GRPC_ADDRESS", EXTRA)
    from drum_litestar.protocols.grpc_inference.grpc_routes import GRPC_ROUTES, service_ready
    from drum_litestar.protocols.grpc_inference.listener import GrpcListener

    spool = SpoolDirectory(options.uploads.spool_dir, options.spool_owner)
    service = ModelService(executor, options, spool)
    routes = RouteTable(GRPC_ROUTES)
    app = build_stack(
        traced(TableApp(service, routes)),
        replace(stack, connections=ConnectionSettings(), cors=CorsSettings(), answers=AnswerSettings()),
        routes=routes,
        new_place=lambda: Place(executor.admit),
        shared_store=shared_store,
        mask=masked,
        on_request_end=on_request_end,
        on_rejected=options.on_rejected,
    )
    token = stack.access.api_token
    return GrpcListener(
        app,
        sockets,
        ready=functools.partial(service_ready, service),
        may_stream=lambda headers: token is None or has_token(headers, token.encode()),
        on_closed=functools.partial(asyncio.to_thread, spool.close),
        max_message=stack.uploads.max_upload_size,
        max_metadata=stack.connections.max_head_size,
        tls=tls,
        turn=service.large_conversion,
    )
