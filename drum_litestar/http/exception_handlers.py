"""Exception handlers: one table for the whole application.

::

    RequestError            its own status, body and headers
    ClientGoneError         no response: the client has disconnected
    Litestar HTTPException  its status, {"message": ...}; routing errors have DRUM's texts
    anything else           500 {"message": "Internal server error", "request_id": ...}, logged with its traceback
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.types import ExceptionHandlersMap

from drum_litestar.errors import RequestError, is_error
from drum_litestar.http.app_options import AnyRequest
from drum_litestar.http.bodies import ClientGoneError
from drum_litestar.http.replies import BytesResponse, NoResponse, error_response
from drum_litestar.request_state import request_state
from drum_litestar.settings.masking import masked

logger = logging.getLogger(__name__)

NOT_FOUND: Final = "The requested URL was not found on the server."
METHOD_NOT_ALLOWED: Final = "The method is not allowed for the requested URL."
_LONGEST_PATH: Final = 80
_STATIC: Final = "/static/"


def answer_request_error(request: AnyRequest, error: RequestError) -> BytesResponse:
    """Send the error's own status, body and headers."""
    _fail_span(request, error.status, str(error))
    return error_response(request, error.body(), status=error.status, pairs=error.headers)


def answer_client_gone(_: AnyRequest, __: ClientGoneError) -> NoResponse:
    """Send nothing."""
    return NoResponse()


def answer_http_exception(request: AnyRequest, error: HTTPException) -> BytesResponse:
    """Send the status of Litestar's error, with DRUM's text and what exists for 404 and 405; logs those of 500 and
    above."""
    if isinstance(error, NotFoundException):
        # an endpoint of an extension has found nothing, but its route exists
        message = NOT_FOUND if "route_handler" in request.scope else missing(request, _paths_of_app(request))
    elif isinstance(error, MethodNotAllowedException):
        message = f"{METHOD_NOT_ALLOWED} {_shown_path(request)} takes {_allowed(error)}."
    else:
        message = error.detail
    if error.status_code >= 500:
        logger.error("%s %s: %s", request.method, request.url.path, message, exc_info=error)
    _fail_span(request, error.status_code, message)
    headers = tuple((error.headers or {}).items())
    return error_response(request, {"message": message}, status=error.status_code, pairs=headers)


def answer_unexpected(request: AnyRequest, error: Exception) -> BytesResponse:
    """Send a 500 without details, and log the traceback."""
    logger.error("Unhandled exception while answering %s %s", request.method, request.url.path, exc_info=error)
    _fail_span(request, 500, masked(f"{type(error).__name__}: {error}"))
    request_id = request_state(request.scope).request_id or None
    return error_response(request, {"message": "Internal server error", "request_id": request_id}, status=500)


def _paths_of_app(request: AnyRequest) -> set[str]:
    """The paths of the application of ``request``, which is Litestar's."""
    return {route.path_format for route in request.app.routes if _STATIC not in route.path_format}


def missing(request: AnyRequest, known: Collection[str]) -> str:
    """DRUM's text of a 404, and which of the paths ``known`` there is instead of the request's."""
    path = _shown_path(request)
    near = get_close_matches(path.rstrip("/"), sorted(known), n=1)
    instead = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}."
    return f"{NOT_FOUND} There is no {path}; {instead}"


def _allowed(error: HTTPException) -> str:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    methods = {method.strip() for method in headers.get("allow", "").split(",")} - {"OPTIONS"}
    return ", ".join(sorted(methods))


def _shown_path(request: AnyRequest) -> str:
    path: str = request.scope["path"]
    return path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}..."


def _fail_span(request: AnyRequest, status: int, message: str) -> None:
    """Exceptions end here, before they could reach the span of the request."""
    span = request_state(request.scope).span
    if span is not None and is_error(status):
        span.fail(message)


HANDLERS: Final[ExceptionHandlersMap] = {
    RequestError: answer_request_error,
    ClientGoneError: answer_client_gone,
    HTTPException: answer_http_exception,
    Exception: answer_unexpected,
}
