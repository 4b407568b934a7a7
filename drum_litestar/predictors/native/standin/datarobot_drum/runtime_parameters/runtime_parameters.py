"""Stand-in for the reader of runtime parameters (contract, 2.1)."""

from __future__ import annotations

from typing import Any

from drum_litestar.settings.runtime_params import parameters as runtime_params


class RuntimeParameters:
    """Runtime parameters of the deployment."""

    @classmethod
    def has(cls, param_name: str) -> bool:
        """The parameter exists; its value may still be unreadable."""
        return runtime_params.has(param_name)

    @classmethod
    def get(cls, key: str) -> Any:
        """The parameter's value. Raises ValueError when it does not exist or cannot be read."""
        return runtime_params.get(key)
