"""Answers of errors: which statuses a route may have, because of its row and the server's options."""

from __future__ import annotations

from typing import Any, Final

from drum_litestar.http.openapi.operation import Operation, Subject, json_of
from drum_litestar.messages.error_messages import ErrorMessage, ErrorText
from drum_litestar.route_table import Route

DESCRIPTIONS: Final = {
    400: "The request cannot be used.",
    401: "The token is missing or wrong.",
    404: "There is no such model.",
    408: "The client stopped sending.",
    413: "The body is larger than a limit.",
    415: "The media type or the coding of the body is not known.",
    422: "There is no data, or of a media type that the model does not read.",
    429: "The client sends requests faster than its limit.",
    500: "The model or a hook failed, or the data cannot be read.",
    501: "The server cannot do that.",
    502: "The LLM server cannot be reached.",
    503: "The model is not ready, or the queue is full.",
    504: "The answer took longer than the deadline.",
    507: "There is no disk space for the body.",
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
_HEADERS: Final = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


def error_answers(route: Route, method: str, operation: Operation, subject: Subject) -> dict[str, Any]:
    """The responses of all errors that ``method`` of ``route`` may have, by status.

    ``default`` is there where hooks answer: they may raise errors of any status.
    """
    schema: Any = ErrorText if route.error_key == "error" else ErrorMessage
    statuses = {**dict.fromkeys(_statuses(route, method, subject), schema), **operation.errors}
    found = {str(status): _response(status, statuses[status]) for status in sorted(statuses)}
    if route.calls_model and method == "POST" and subject.card.hooks:
        found["default"] = {"description": "What a hook of the model raised.", "content": json_of(schema)}
    return found


def needs_token(route: Route, subject: Subject) -> bool:
    """Whether a request is answered with 401 without token."""
    return subject.options.with_token and route.access not in ("probe", "public")


def _statuses(route: Route, method: str, subject: Subject) -> set[int]:
    found = {500, 503}
    if needs_token(route, subject):
        found.add(401)
    if route.access == "client":
        found.add(504)
        if subject.options.with_rate_limit:
            found.add(429)
    if any("{" in path for path in route.paths):
        found.add(404)
    if method == "POST":
        found |= {400, 408, 413}
        if route.calls_model:
            found.add(507)
        if route.decodes:
            found.add(415)
    return found


def _response(status: int, schema: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"description": DESCRIPTIONS[status], "content": json_of(schema)}
    return {**described, "headers": _HEADERS[status]} if status in _HEADERS else described
