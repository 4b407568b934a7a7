"""The routes of the console. They are served where ``DRUM_CONSOLE`` is on, and are not in the OpenAPI document.

They call no model, so that they answer while it is busy, loads, or has failed. The page itself passes without a token,
which it then asks for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, cast

import msgspec

from drum_litestar.console.console import Console
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.packaged_files import file_routes
from drum_litestar.http.replies import BytesResponse, StreamResponse
from drum_litestar.http.service import ModelService
from drum_litestar.request_state import request_state
from drum_litestar.route_table import Route

FOLDER: Final = Path(__file__).parent / "static"
"""The page."""

POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    "img-src 'self' data:; script-src 'self'; style-src 'self'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
"""Content-Security-Policy of the page: no inline script or style, nothing from elsewhere, and no text becomes HTML."""

_NOT_KEPT: Final = (("Cache-Control", "no-store"),)


async def overview(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The server, its model, its workers, its history and its settings."""
    return _answer(_console(service).overview(service.executor))


async def recent(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The last requests: never their bodies."""
    return _answer(_console(service).recent())


async def faults(service: ModelService, _: AnyRequest) -> AnyResponse:
    """The last errors."""
    return _answer(_console(service).faults())


async def live(service: ModelService, request: AnyRequest) -> AnyResponse:
    """Figures once a second, until the viewer leaves."""
    stream = _console(service).live(service.executor)
    request_state(request.scope).resources = stream
    return StreamResponse(stream, pairs=_NOT_KEPT)


def _console(service: ModelService) -> Console:
    return cast("Console", service.options.console)


def _answer(document: msgspec.Struct) -> BytesResponse:
    return BytesResponse(msgspec.json.encode(document), pairs=_NOT_KEPT)


def _api(name: str, answer: Any) -> Route:
    return Route(paths=(f"/console/api/{name}",), answer=answer, methods=("GET",), access="operator", tag="console")


CONSOLE_ROUTES: Final = (
    _api("overview", overview),
    _api("requests", recent),
    _api("faults", faults),
    _api("live", live),
    *file_routes(FOLDER, at="/console", policy=POLICY),
)
