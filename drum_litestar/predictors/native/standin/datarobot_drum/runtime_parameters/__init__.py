"""Stand-in for ``datarobot_drum.runtime_parameters``."""

from .runtime_parameters import RuntimeParameters

__all__ = ["RuntimeParameters"]
