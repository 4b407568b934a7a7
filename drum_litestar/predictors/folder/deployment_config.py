"""The ``--deployment-config`` file (contract, 3.7)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drum_litestar.errors import ModelLoadError


class DeploymentConfig:
    """The ``target`` section of a deployment configuration.

    Values are looked up when a request needs them: with a section without ``class_mapping`` the server starts, and
    every request fails with ``KeyError('class_mapping')``, as in DRUM.
    """

    def __init__(self, target: dict[str, Any]) -> None:
        self._target = target

    @property
    def name(self) -> Any:
        """The target's name. Raises KeyError when the file has none."""
        return self._target["name"]

    @property
    def class_names(self) -> list[str] | None:
        """Labels sorted by their ``order``; None for a null mapping. Raises KeyError when the file has none."""
        mapping = self._target["class_mapping"]
        if mapping is None:
            return None
        return [label for label, _ in sorted(mapping, key=lambda entry: entry[1])]

    @property
    def prediction_threshold(self) -> Any:
        """As in the file. Raises KeyError when the file has none."""
        return self._target["prediction_threshold"]


def read_deployment_config(path: str) -> DeploymentConfig:
    """The configuration in ``path``. Raises ModelLoadError with DRUM's texts."""
    absolute = Path(path).resolve()
    try:
        document = json.loads(absolute.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"Failed to parse deployment config json file '{absolute}'") from error
    try:
        target = document["target"]
    except KeyError as error:
        raise ModelLoadError(f"'target' section not found in deployment config json file {absolute}") from error
    except TypeError as error:
        raise ModelLoadError(str(error)) from error
    if not isinstance(target, dict):
        raise ModelLoadError(f"'target' section of deployment config json file {absolute} is not an object")
    return DeploymentConfig(target)
