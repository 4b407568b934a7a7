"""Replies for exceptions of hooks, models and data, as DRUM's clients expect them (contract, 3.4 and 4.4)."""

from __future__ import annotations

import logging
from typing import Any

from drum_litestar.drum_json import drum_json
from drum_litestar.errors import RequestError, is_error
from drum_litestar.predictors.native.formats.inputs import ClientDataError
from drum_litestar.predictors.native.formats.type_schema import SchemaValidationError
from drum_litestar.predictors.native.hooks.request_values import RequestValueError
from drum_litestar.predictors.native.hooks.user_errors import ModelError, StageError, is_user_error
from drum_litestar.predictors.protocol import Reply
from drum_litestar.predictors.steps import record_exception
from drum_litestar.settings.masking import masked

logger = logging.getLogger("drum")

_USER_ERROR_HEADER = (("X-Drum-User-Http-Error", "true"),)
_BODILESS = frozenset({204, 304})


def error_reply(error: BaseException, *, client_errors_4xx: bool = False) -> Reply:
    """The reply to a request that ended with ``error``, which is also logged with its traceback.

    A violated schema has been logged already, one line for each violation.
    """
    hint = hint_of(error)
    if not isinstance(error, SchemaValidationError):
        logger.error("%s%s", _text(error), f" ({hint})" if hint else "", exc_info=error)
    if not isinstance(error, (RequestError, SchemaValidationError)) or is_error(getattr(error, "status", 422)):
        record_exception(error)
    reply = _reply(error, client_errors_4xx=client_errors_4xx)
    reply.hint = hint
    return reply


def _reply(error: BaseException, *, client_errors_4xx: bool) -> Reply:
    user = is_user_error(error)
    if user is not None:
        message, status = user
        return _json_reply(status, {"message": masked(message)}, _USER_ERROR_HEADER)
    if isinstance(error, RequestError):
        return _json_reply(error.status, error.body(), error.headers)
    if isinstance(error, SchemaValidationError):
        return _json_reply(422, {"message": f"ERROR: {_text(error)}", "is_schema_validation_error": True})
    if isinstance(error, ClientDataError):
        return _message(422 if client_errors_4xx else 500, error)
    if isinstance(error, StageError):
        return _message(http_status(error.__cause__) or 500, error)
    status = http_status(error) or 500
    if status == 400:
        return _json_reply(400, {"error": masked(str(getattr(error, "description", None) or error))})
    return _message(status, error)


def hint_of(error: BaseException) -> str:
    """What the log says of the remedy; empty where nothing is known."""
    return masked(error.remedy) if isinstance(error, (ModelError, ClientDataError)) else ""


def http_status(error: BaseException | None) -> int | None:
    """The status of a werkzeug HTTP exception (``abort(404)`` in a hook); None for anything else.

    Recognised by the name of its class, so that werkzeug is never imported (contract, section 8, Q-7).
    """
    if isinstance(error, RequestValueError):
        return error.code
    for cls in type(error).__mro__:
        if cls.__name__ == "HTTPException" and cls.__module__.split(".", 1)[0] == "werkzeug":
            code = getattr(error, "code", None)
            return code if isinstance(code, int) and 400 <= code <= 599 else None
    return None


def describe(error: BaseException) -> str:
    """The text that follows ``ERROR: ``, with secrets masked."""
    if isinstance(error, (SystemExit, KeyboardInterrupt)):
        return masked(repr(error))  # its text alone is an exit code, or empty
    return _text(error)


def _text(error: BaseException) -> str:
    try:
        return masked(str(error))
    except Exception:
        return f"<unprintable {type(error).__name__}>"


def _message(status: int, error: BaseException) -> Reply:
    return _json_reply(status, {"message": f"ERROR: {describe(error)}"})


def _json_reply(status: int, body: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    if status in _BODILESS:  # HTTP forbids a body, and a server that sends one breaks the connection
        return Reply(status=status, content_type="application/json" if status == 204 else None, headers=headers)
    return Reply(status=status, body=drum_json(body), headers=headers)
