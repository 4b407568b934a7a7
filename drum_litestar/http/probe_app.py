"""The application behind the port of the probes: a few rows of the table of routes, without Litestar around them."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.exceptions import MethodNotAllowedException, NotFoundException

from drum_litestar.execution.executor import Executor
from drum_litestar.http.app_options import AnyRequest, AppOptions
from drum_litestar.http.dispatcher import Dispatcher, error_response
from drum_litestar.http.service import ModelService
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.request_state import request_state
from drum_litestar.route_table import OTHER


class ProbeApp:
    """Answers requests whose route the middleware stack has found; anything else is 404 or 405.

    Additions of the model folder (``custom_litestar.py``) do not reach it.
    """

    def __init__(self, executor: Executor, options: AppOptions) -> None:
        self._dispatcher = Dispatcher(ModelService(executor, options, SpoolDirectory(options.uploads.spool_dir)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, then free its resources, also when it failed or was cancelled."""
        state = request_state(scope)
        try:
            if self._dispatcher.answers(scope):
                await self._dispatcher.answer(scope, receive, send)
                return
            request: AnyRequest = Request(scope, receive, send)
            error: Exception = NotFoundException()
            if state.route is not OTHER:
                error = MethodNotAllowedException(headers={"Allow": ", ".join(state.route.methods)})
            await error_response(request, error).to_asgi_response(app=None, request=request)(scope, receive, send)
        finally:
            if state.resources is not None:
                await state.resources.aclose()
