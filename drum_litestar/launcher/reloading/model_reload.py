"""Reload of the model folder in a running server: on SIGHUP, and when its files change (``--reload``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.executor import Executor
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.launcher.predictor_choice import unreadable
from drum_litestar.launcher.preparation import worker_spec
from drum_litestar.predictors.protocol import ModelCard
from drum_litestar.predictors.spec import PredictorSpec

RELOAD_LOGGER: Final = "drum_litestar.reload"

_log = logging.getLogger(RELOAD_LOGGER)


class ModelReload:
    """Reloads the folder, and logs how that went."""

    def __init__(self, executor: Executor, plan: LaunchPlan, on_loaded: Callable[[ModelCard], None]) -> None:
        """``on_loaded`` gets the reloaded model's card."""
        self._executor = executor
        self._plan = plan
        self._on_loaded = on_loaded

    async def run(self) -> None:
        """Load the folder again, once its first load has ended. A failure is logged; the model goes on as it was."""
        reload: Callable[[Callable[[], PredictorSpec]], Awaitable[None]] | None
        reload = getattr(self._executor, "reload", None)
        if reload is None:
            _log.warning("The model is not reloaded: only the pool executor can do that")
            return
        await self._executor.wait_started()
        began = time.monotonic()
        level = logging.WARNING if self._executor.folder_error else logging.INFO  # who read that it failed, reads this
        try:
            await reload(self._spec)
        except ModelLoadError as error:
            if self._executor.state in ("draining", "stopped"):
                return
            rest = "the old one goes on" if self._executor.state == "ready" else "no model worker is left"
            _log.error("Reloading the model failed; %s: %s", rest, error, extra={"traceback": error.detail})
            return
        _log.log(level, "The model is reloaded, in %.1f s", time.monotonic() - began)
        if self._executor.card is not None:
            self._on_loaded(self._executor.card)

    def _spec(self) -> PredictorSpec:
        """May read and parse a file. Raises ModelLoadError."""
        try:
            return worker_spec(self._plan)
        except OSError as error:
            raise unreadable(self._plan.spec.code_dir, error) from None
