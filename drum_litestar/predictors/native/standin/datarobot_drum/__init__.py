"""Stand-in: the names that hooks import from ``datarobot_drum``."""

from .drum.exceptions import CustomHTTPError
from .runtime_parameters import RuntimeParameters

__all__ = ["CustomHTTPError", "RuntimeParameters"]
