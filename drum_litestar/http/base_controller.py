"""Base class of the controllers: OPTIONS as DRUM answers it."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from litestar import Controller, HttpMethod
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler

from drum_litestar.http.app_options import AnyResponse
from drum_litestar.http.replies import BytesResponse

READ: Final = [HttpMethod.GET, HttpMethod.HEAD]
"""HEAD is accepted wherever GET is (contract, 3.1)."""

HTML: Final = "text/html; charset=utf-8"


class DrumController(Controller):
    """Adds OPTIONS to each of its paths: 200, empty, ``Allow`` (contract, 3.1). Litestar's own would be a 204."""

    def get_route_handlers(self) -> list[BaseRouteHandler]:
        """Return the controller's handlers and one for OPTIONS of each of its paths."""
        handlers = super().get_route_handlers()
        methods: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
        for handler in handlers:
            if isinstance(handler, HTTPRouteHandler):
                for path in handler.paths:
                    methods[path] |= handler.http_methods
        # first in the list: Litestar adds its own OPTIONS to a path whose first handler is registered without one
        return [*(self._options(path, ", ".join(sorted(allow))) for path, allow in methods.items()), *handlers]

    def _options(self, path: str, allow: str) -> HTTPRouteHandler:
        async def options() -> AnyResponse:
            return BytesResponse(b"", content_type=HTML, pairs=(("allow", allow),))

        decorate = HTTPRouteHandler(path, http_method=[HttpMethod.OPTIONS], status_code=200, include_in_schema=False)
        handler = decorate(options)
        handler.owner = self
        return handler
