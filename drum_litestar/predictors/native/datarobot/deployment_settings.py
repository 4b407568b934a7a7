"""Settings of a deployment that concern chat reports, from DataRobot's API (contract, 4.13)."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

logger = logging.getLogger("drum")

PROMPT_COLUMN: Final = "promptText"
READ_EVERY: Final = 60.0
"""Seconds between two reads of the deployment's settings."""


class ReportSettings:
    """Settings of chat reports without access to the API."""

    prompt_column = PROMPT_COLUMN
    """Name of the feature that holds the prompt."""

    def data_wanted(self) -> bool:
        """Prompts and answers are to be reported, besides their number."""
        return True


class DeploymentSettings(ReportSettings):
    """Settings of the deployment, read in the reporting thread. A failed read keeps the previous values."""

    def __init__(
        self,
        deployment_id: str,
        *,
        find: Callable[[str], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``find`` returns the client's ``Deployment`` of an id; by default through the global client."""
        self._id = deployment_id
        self._find = find or _deployment
        self._clock = clock
        self._read_at: float | None = None
        self._prompt_known = False
        self._wanted = True

    def data_wanted(self) -> bool:
        """False while the deployment tracks no feature drift and collects no data. Reads ``prompt_column`` too."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= READ_EVERY:
            self._read_at = now
            try:
                self._read(self._find(self._id))
            except Exception as error:
                logger.warning("The settings of deployment %s cannot be read: %r", self._id, error)
        return self._wanted

    def _read(self, deployment: Any) -> None:
        if not self._prompt_known:
            self.prompt_column = (deployment.model or {}).get("prompt") or PROMPT_COLUMN
            self._prompt_known = True
        tracked = deployment.get_drift_tracking_settings()["feature_drift"]["enabled"]
        self._wanted = bool(tracked or deployment.get_predictions_data_collection_settings()["enabled"])


def _deployment(deployment_id: str) -> Any:
    return importlib.import_module("datarobot").Deployment.get(deployment_id)
