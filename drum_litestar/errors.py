"""The exceptions that packages raise for each other, in one tree.

::

    DrumLitestarError
    ├── StartupError                 the server cannot start; has an exit code
    │   ├── UsageError               bad command line                        exit 2
    │   ├── SettingsError            a parameter that cannot be used         exit 2
    │   ├── MissingExtraError        an optional dependency is missing       exit 1
    │   ├── ModelLoadError           the model folder cannot be served       exit 1 (3: typeSchema)
    │   └── FailedError              predict: the model or its data failed   exit 1
    ├── PredictionError              a call without HTTP: what its answer's status would be
    └── RequestError                 one request ends with a status
        ├── BadRequestError          400
        ├── InvalidParameterError    400  a parameter of OpenAI's that cannot be used, in OpenAI's form
        ├── UnauthorizedError        401  no valid API token
        ├── UnsupportedRouteError    404  a route that this model does not offer
        ├── UnknownModelError        404  a path names another model than the one that is served
        ├── BodyTimeoutError         408  the client stopped sending its body
        ├── BodyTooLargeError        413
        ├── FormTooLargeError        413  a form has too many parts, or too large ones
        ├── MessageTooLargeError     413  a gRPC message that would take too much memory when it is parsed
        ├── UnsupportedMediaTypeError 415 chat without a JSON content type
        ├── UnsupportedCodingError   415  a Content-Encoding that cannot be undone
        ├── MissingReaderError       415  a format whose reader is not installed
        ├── UnprocessableError       422  DRUM's answer to missing or unusable data
        ├── RateLimitedError         429  the client's token bucket is empty
        ├── UnsupportedError         501  the protocol has it, but a server of one model does not
        ├── MissingExtraRequestError 501  the route needs an extra that is not installed
        ├── UpstreamError            502  the LLM server behind /directAccess/ is down, or its answer is invalid
        ├── ModelNotReadyError       503  no model worker is ready
        ├── ConnectionLimitError     503  more connections are open than allowed
        ├── QueueFullError           503  the queue is full
        ├── QueueTimeoutError        503  no slot became free in time
        ├── WorkerDiedError          503  the worker died while it ran the call
        ├── DeadlineExceededError    504
        ├── UpstreamTimeoutError     504  the LLM server behind /directAccess/ is slow
        ├── DiskFullError            507  no disk space for a large request body
        └── ModelFailedError         513  the model could not be loaded (error server)

Statuses are plain ints. A ``RequestError`` makes its own JSON body, so that middleware and controllers answer the same
error with the same bytes.
"""

from __future__ import annotations

from typing import Any, Dict, Final, Sequence

import msgspec

from drum_litestar.messages.error_messages import ParameterError, ParameterProblem
from drum_litestar.pip_command import install_extra
from drum_litestar.settings.masking import masked

RETRY_SECONDS: Final = 10
"""``Retry-After`` in seconds while the model loads or a worker is replaced."""

_LONGEST_NAME: Final = 60
_HIGH_LOAD: Final = "Service temporarily unavailable due to high load"


def shown(name: str) -> str:
    """A name that a client has sent, for a message: quoted, and cut if it is long."""
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...")


class DrumLitestarError(Exception):
    """Base class of every exception of this package."""


class StartupError(DrumLitestarError):
    """The server cannot start. The message is one operator-readable line (or DRUM's own text), without secrets."""

    exit_code = 1

    def __str__(self) -> str:
        return masked(super().__str__())


class UsageError(StartupError):
    """The command line is invalid."""

    exit_code = 2


class SettingsError(StartupError):
    """A setting has an invalid value, and there is no fallback for it."""

    exit_code = 2


class MissingExtraError(StartupError):
    """A feature needs an optional dependency; the message names the pip command."""

    def __init__(self, feature: str, extra: str, package: str | None = None) -> None:
        """``feature`` needs ``package`` (default: the extra's name), one of what ``extra`` of this package brings."""
        self.extra = extra
        super().__init__(
            f"{feature} needs the package '{package or extra}', which is not installed. "
            f"Install it with: {install_extra(extra)}"
        )


class ModelLoadError(StartupError):
    """The model folder cannot be served.

    ``reason`` is what DRUM's error server shows after ``ERROR: `` (contract, 5.1). ``remedy`` says to the operator what
    to do about it; ``str(error)`` has both. ``detail`` is a traceback for the log. ``exit_code`` is 1, or 3 for an
    invalid ``typeSchema`` combination (contract, section 8, Q-3).
    """

    def __init__(self, reason: str, *, exit_code: int = 1, detail: str = "", remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy
        self.exit_code = exit_code
        self.detail = detail

    @property
    def reason(self) -> str:
        """The text without the remedy."""
        return super().__str__()

    def __str__(self) -> str:
        return f"{self.reason}\n{masked(self.remedy)}" if self.remedy else self.reason


class FailedError(StartupError):
    """A file cannot be scored: the model or the data failed. The text is that of the server's answer, in one line."""


class PredictionError(DrumLitestarError):
    """A call that came without HTTP has failed; ``status`` is what an answer would have had. It can be pickled."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return f"{self.status}: {self.message}"


class RequestError(DrumLitestarError):
    """A request that ends with ``status`` and a JSON body.

    ``headers`` are added to the response. ``prefix`` is DRUM's ``ERROR: `` where its clients expect it.
    """

    status = 500
    prefix = ""

    def __init__(self, message: str, *, headers: tuple[tuple[str, str], ...] = (), **fields: Any) -> None:
        super().__init__(message)
        self.headers = headers
        self.fields = fields

    def body(self) -> dict[str, Any]:
        """The JSON object to send: ``message`` first, then the error's own fields."""
        return {"message": f"{self.prefix}{self}", **self.fields}


class BadRequestError(RequestError):
    status = 400


class InvalidParameterError(RequestError):
    """A parameter of a request of OpenAI's, in the form in which OpenAI's own API refuses it."""

    status = 400

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param

    def body(self) -> dict[str, Any]:
        problem = ParameterProblem(str(self), "invalid_request_error", self.param, None)
        body: Dict[str, Any] = msgspec.to_builtins(ParameterError(problem))
        return body


class UnauthorizedError(RequestError):
    status = 401

    def __init__(self) -> None:
        super().__init__("Missing or invalid API token", headers=(("WWW-Authenticate", 'Bearer realm="drum"'),))


class UnsupportedRouteError(RequestError):
    status = 404
    prefix = "ERROR: "


class UnknownModelError(RequestError):
    status = 404


class BodyTimeoutError(RequestError):
    status = 408


class BodyTooLargeError(RequestError):
    status = 413

    def __init__(self, limit: int, *, table: bool = False) -> None:
        """``table``: what is too large is the table in the body, when it is decompressed."""
        text = f"Request body too large. Maximum size: {limit} bytes (DRUM_FASTAPI_MAX_UPLOAD_SIZE)"
        super().__init__(f"Table in the {text[0].lower()}{text[1:]}" if table else text)


class FormTooLargeError(RequestError):
    """A form breaks one of its limits: DRUM's text, with the status that the text names (contract, Q-7), and the
    setting, for a limit that has one."""

    status = 413
    prefix = "ERROR: "

    def __init__(self, setting: str | None = None) -> None:
        super().__init__(
            "413 Request Entity Too Large: The data value transmitted exceeds the capacity limit."
            + (f" ({setting})" if setting else "")
        )


class MessageTooLargeError(RequestError):
    status = 413


class UnsupportedMediaTypeError(RequestError):
    """DRUM's text, with the status that the text names (contract, 3.10 and Q-7)."""

    status = 415
    prefix = "ERROR: "

    def __init__(self) -> None:
        super().__init__(
            "415 Unsupported Media Type: Did not attempt to load JSON data because the request Content-Type was not "
            "'application/json'."
        )


class UnsupportedCodingError(RequestError):
    """``accepted`` are the codings that can be undone; ``problem`` says why this one cannot, if there is a reason."""

    status = 415

    def __init__(self, coding: str, accepted: Sequence[str], problem: str = "") -> None:
        super().__init__(
            f"Content-Encoding '{coding}' cannot be undone; send the body as it is, or as {' or '.join(accepted)}"
            + (f". {problem}" if problem else ""),
            headers=(("Accept-Encoding", ", ".join(accepted)),),
            accepted=list(accepted),
        )


class MissingReaderError(RequestError):
    """The message names the package and the command that installs it."""

    status = 415
    prefix = "ERROR: "


class UnprocessableError(RequestError):
    status = 422
    prefix = "ERROR: "


class RateLimitedError(RequestError):
    status = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__("Rate limit exceeded", headers=(("Retry-After", str(retry_after)),), retry_after=retry_after)


class UnsupportedError(RequestError):
    status = 501


class MissingExtraRequestError(RequestError):
    status = 501


class UpstreamError(RequestError):
    status = 502
    prefix = "ERROR: "


class UpstreamTimeoutError(RequestError):
    status = 504
    prefix = "ERROR: "


class ModelNotReadyError(RequestError):
    status = 503

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=(("Retry-After", str(RETRY_SECONDS)),))


class ConnectionLimitError(RequestError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            f"{_HIGH_LOAD}: too many connections are open (DRUM_UVICORN_LIMIT_CONCURRENCY)",
            headers=(("Retry-After", "5"),),
            retry_after=5,
        )


class QueueFullError(RequestError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            f"{_HIGH_LOAD}: the queue is full (DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH)",
            headers=(("Retry-After", "5"),),
            retry_after=5,
        )


class QueueTimeoutError(RequestError):
    status = 503

    def __init__(self) -> None:
        super().__init__(
            f"{_HIGH_LOAD}: no worker was free in time (DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT)",
            headers=(("Retry-After", "10"),),
            retry_after=10,
        )


class WorkerDiedError(RequestError):
    status = 503

    def __init__(self, message: str) -> None:
        super().__init__(message, headers=(("Retry-After", "5"),))


class DeadlineExceededError(RequestError):
    """``timeout`` is the request's whole timeout in seconds."""

    status = 504

    def __init__(self, timeout: float, request_id: str | None = None) -> None:
        super().__init__(f"Request timeout after {timeout:g}s", request_id=request_id)


class DiskFullError(RequestError):
    status = 507

    def __init__(self) -> None:
        super().__init__("The server has no disk space left for the request body")


class ModelFailedError(RequestError):
    """What every route answers once the model has failed to load (contract, 5.1 and Q-22)."""

    status = 513
    prefix = "ERROR: "


def is_error(status: int) -> bool:
    """Whether DRUM sends ``status`` for an exception: its 404 and 422 are ordinary responses, as are a model's own
    statuses."""
    return status == 400 or status >= 500
