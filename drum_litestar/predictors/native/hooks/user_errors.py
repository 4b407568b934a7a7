"""Recognising classes of ``datarobot_drum`` in user code without importing them: the package may be the real one or
the stand-in, and neither is needed to tell."""

from __future__ import annotations

_PACKAGE = "datarobot_drum"
_DEFAULT_STATUS = 400


def is_subclass_by_name(cls: type, name: str) -> bool:
    """``cls`` is, or inherits from, the class ``name`` of ``datarobot_drum``."""
    return any(base.__name__ == name and base.__module__.split(".", 1)[0] == _PACKAGE for base in cls.__mro__)


def is_user_error(error: BaseException) -> tuple[str, int] | None:
    """``(message, status)`` of an HTTP error that user code raised on purpose (contract, 3.4); None for others.

    These are ``CustomHTTPError`` and every other subclass of its base. A class without status means 400; ``'404'``
    is 404; what HTTP cannot send as a final status is 500 (contract, section 8, Q-11).
    """
    if not is_subclass_by_name(type(error), "BaseCustomUserError"):
        return None
    return str(error), _usable_status(getattr(error, "status_code", _DEFAULT_STATUS))


def _usable_status(value: object) -> int:
    """``value`` as a status code; a text counts by its first word, as in ``'404 Not Found'``."""
    try:
        status = int(value) if isinstance(value, int) else int(str(value).split(None, 1)[0])
    except (ValueError, IndexError):
        return 500
    return status if 200 <= status <= 999 else 500
