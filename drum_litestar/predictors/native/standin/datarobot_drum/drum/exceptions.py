"""Stand-in for the exceptions that user code raises or catches."""

from __future__ import annotations


class DrumException(Exception):  # noqa: N818 - the name is DRUM's
    """Base of DRUM's own errors."""


class DrumCommonException(DrumException):
    """Something is wrong with the model or its configuration."""


class DrumSerializationError(DrumException):
    """A custom task cannot be saved or loaded."""


class BaseCustomUserError(Exception):
    """Base of errors that user code raises to choose the answer; without ``status_code`` the status is 400."""


class CustomHTTPError(BaseCustomUserError):
    """Ends the request with ``status_code`` and ``{"message": message}``."""

    def __init__(self, message: str = "User's HTTP error in custom model", status_code: int = 400) -> None:
        super().__init__(message)
        self.status_code = status_code
