"""Litestar's handlers of the table of routes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final, cast

from litestar import HttpMethod
from litestar.handlers import HTTPRouteHandler

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService
from drum_litestar.route_table import Route

_HTML: Final = "text/html; charset=utf-8"


def route_handlers(routes: Iterable[Route], service: ModelService) -> list[HTTPRouteHandler]:
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
