"""The Litestar application over an executor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final, cast

from litestar import HttpMethod, Litestar, Router
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, RedocRenderPlugin, SwaggerRenderPlugin
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.types import LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from drum_litestar.context import WorkerContext
from drum_litestar.execution.executor import Executor
from drum_litestar.http.app_options import AnyRequest, AnyResponse, AppOptions, normalize_prefix
from drum_litestar.http.dispatcher import Dispatcher
from drum_litestar.http.exception_handlers import HANDLERS
from drum_litestar.http.lifespan import model_lifespan
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.routes import ROUTES
from drum_litestar.http.service import ModelService
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.request_state import request_state
from drum_litestar.route_table import Route

_HTML: Final = "text/html; charset=utf-8"


class DrumLitestar(Litestar):
    """Litestar without the default plugins that import pydantic; frees each request's resources."""

    dispatcher: Dispatcher | None = None
    """The short way to our own endpoints."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Add only msgspec's plugin. Litestar's own list imports pydantic if installed, and fails with a broken one."""
        return [*plugins, MsgspecDIPlugin()]

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """Answer a request, then free its resources, also when it failed or was cancelled."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        state = request_state(scope)
        try:
            if self.dispatcher is not None and self.dispatcher.answers(scope):
                await self.dispatcher.answer(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            if state.resources is not None:
                await state.resources.aclose()


def build_app(executor: Executor, options: AppOptions) -> DrumLitestar:
    """Build the whole HTTP interface of ``executor`` (contract, 3).

    Its lifespan starts the executor and drains it. Raises StartupError for an impossible ``url_prefix``.
    """
    spool_directory = SpoolDirectory(options.uploads.spool_dir, options.spool_owner)
    service = ModelService(executor, options, spool_directory)
    context = WorkerContext("http")
    app = DrumLitestar(
        [*_route_handlers((*ROUTES, *options.protocol_routes), service), *_extension_routes(options, service)],
        path=normalize_prefix(options.url_prefix),
        state=State({"worker_context": context}),
        exception_handlers=dict(HANDLERS),
        lifespan=[lambda _: model_lifespan(executor, context, spool_directory, options)],
        on_app_init=options.on_app_init,
        openapi_config=_openapi(options) if options.enable_docs else None,
        request_max_body_size=None,  # the middleware limits bodies
        logging_config=None,
        debug=False,
        pdb_on_exception=False,
    )
    if not options.on_app_init:
        app.dispatcher = Dispatcher(service)
    if options.on_routes is not None:
        options.on_routes(route.path_format for route in app.routes)
    return app


def _route_handlers(routes: Iterable[Route], service: ModelService) -> list[HTTPRouteHandler]:
    """A handler for each route, and one for OPTIONS of each path: 200, empty, ``Allow`` (contract, 3.1). Litestar's own
    would be a 204."""
    handlers = [_handler(route, service) for route in routes]
    methods: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for handler in handlers:
        for path in handler.paths:
            methods[path] |= handler.http_methods
    # first in the list: Litestar adds its own OPTIONS to a path whose first handler is registered without one
    return [*(_options(path, ", ".join(sorted(allow))) for path, allow in methods.items()), *handlers]


def _handler(route: Route, service: ModelService) -> HTTPRouteHandler:
    async def answer(request: AnyRequest) -> AnyResponse:
        return cast("AnyResponse", await route.answer(service, request))

    answer.__name__ = route.answer.__name__  # the end of the operation's id in the OpenAPI document
    documented: dict[str, Any] = (
        {"include_in_schema": False} if route.summary is None else {"summary": route.summary, "tags": [route.tag]}
    )
    decorate = HTTPRouteHandler(
        list(route.paths),
        http_method=[HttpMethod(method) for method in route.methods],
        status_code=200,
        **documented,
    )
    return decorate(answer)


def _options(path: str, allow: str) -> HTTPRouteHandler:
    async def options() -> AnyResponse:
        return BytesResponse(b"", content_type=_HTML, pairs=(("allow", allow),))

    return HTTPRouteHandler(path, http_method=[HttpMethod.OPTIONS], status_code=200, include_in_schema=False)(options)


def _extension_routes(options: AppOptions, service: ModelService) -> list[Router]:
    """Put routes of extensions behind a guard, so that they answer 513 after a failed load, like our own.

    Our own routes check that themselves, because Litestar copies the handler for each call of a guard.
    """

    async def guard(_: ASGIConnection[Any, Any, Any, Any], __: BaseRouteHandler) -> None:
        service.executor.check_failure()

    return [Router(path="/", route_handlers=options.route_handlers, guards=[guard])] if options.route_handlers else []


def _openapi(options: AppOptions) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="drum-litestar",
        version=options.server_version,
        path="/docs",
        render_plugins=[SwaggerRenderPlugin(), RedocRenderPlugin(), JsonRenderPlugin()],
    )
