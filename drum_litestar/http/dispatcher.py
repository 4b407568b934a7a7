"""The short way of a request to its endpoint, past Litestar's routing and injection; and an application without more.

Those cost the HTTP process as much as all middleware together, and our own endpoints need neither: the outermost
middleware has found the route already.
"""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.exceptions import MethodNotAllowedException

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.exception_handlers import HANDLERS, missing
from drum_litestar.http.replies import json_response
from drum_litestar.http.service import ModelService
from drum_litestar.request_state import request_state
from drum_litestar.route_table import OTHER, RouteTable


class Dispatcher:
    """Answers requests whose route and method are in the table.

    What is left is for Litestar: other methods (OPTIONS, 405), other paths (404, extensions, the OpenAPI document), and
    everything once an extension of the model has changed the application.
    """

    def __init__(self, service: ModelService) -> None:
        self._service = service

    def answers(self, scope: Any) -> bool:
        """Whether route and method are in the table."""
        state = request_state(scope)
        return state.path_template is not None and scope["method"] in state.route.methods

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer the request. Errors of the endpoint are answered by the table of exception handlers."""
        state = request_state(scope)
        scope["path_template"] = state.path_template  # as Litestar does, for the labels of metrics
        request: AnyRequest = Request(scope, receive, send)
        try:
            response: AnyResponse = await state.route.answer(self._service, request)
        except Exception as error:
            response = _error_response(request, error)
        await response.to_asgi_response(app=None, request=request)(scope, receive, send)


class TableApp:
    """The application behind the ports of probes and gRPC: answers what is in a table, 404 and 405 to anything else.

    Additions of the model folder (``custom_litestar.py``) do not reach it.
    """

    def __init__(self, service: ModelService, routes: RouteTable) -> None:
        """``routes``: those by which requests have been marked."""
        self._routes = routes
        self._dispatcher = Dispatcher(service)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, then free its resources, also when it failed or was cancelled."""
        state = request_state(scope)
        try:
            if self._dispatcher.answers(scope):
                await self._dispatcher.answer(scope, receive, send)
                return
            request: AnyRequest = Request(scope, receive, send)
            if state.route is OTHER:
                response: AnyResponse = json_response({"message": missing(request, self._routes.paths)}, status=404)
            else:
                error = MethodNotAllowedException(headers={"Allow": ", ".join(state.route.methods)})
                response = _error_response(request, error)
            await response.to_asgi_response(app=None, request=request)(scope, receive, send)
        finally:
            if state.resources is not None:
                await state.resources.aclose()


def _error_response(request: AnyRequest, error: Exception) -> AnyResponse:
    handler: Any = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    response: AnyResponse = handler(request, error)
    return response
