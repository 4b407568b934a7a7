"""Exceptions of user code: the stage in which they were raised, and those that are meant for the client.

Classes of ``datarobot_drum`` are recognised by name, without an import: the package may be the real one or the
stand-in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drum_litestar.context import WorkerStop

_PACKAGE = "datarobot_drum"
_DEFAULT_STATUS = 400

T = TypeVar("T")


class StageError(Exception):
    """A hook or the model failed in a named stage of a request; ``__cause__`` is its exception (contract, 4.4)."""


def run_stage(failure: str, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Call ``function``; raise its exceptions as ``StageError("<failure> Exception: <repr>")``.

    Errors that user code raises for the client pass unchanged. ``SystemExit`` and ``KeyboardInterrupt`` become
    StageErrors too: they must not end the worker (contract, section 8, Q-11). The worker's own end, WorkerStop, passes.
    """
    try:
        return function(*args, **kwargs)
    except WorkerStop:
        raise
    except BaseException as error:
        if is_user_error(error) is not None:
            raise
        raise StageError(f"{failure} Exception: {error!r}") from error


def is_subclass_by_name(cls: type, name: str) -> bool:
    """``cls`` is, or inherits from, the class ``name`` of ``datarobot_drum``."""
    return any(base.__name__ == name and base.__module__.split(".", 1)[0] == _PACKAGE for base in cls.__mro__)


def is_user_error(error: BaseException) -> tuple[str, int] | None:
    """``(message, status)`` of an HTTP error that user code raised for the client (contract, 3.4); None for others.

    These are ``CustomHTTPError`` and all other subclasses of its base. A class without status means 400; ``'404'``
    is 404; an invalid final status is 500 (contract, section 8, Q-11).
    """
    if not is_subclass_by_name(type(error), "BaseCustomUserError"):
        return None
    return str(error), _usable_status(getattr(error, "status_code", _DEFAULT_STATUS))


def _usable_status(value: object) -> int:
    """``value`` as a status code. Of a text, the first word counts, as in ``'404 Not Found'``."""
    try:
        status = int(value) if isinstance(value, int) else int(str(value).split(None, 1)[0])
    except (ValueError, IndexError):
        return 500
    return status if 200 <= status <= 999 else 500
