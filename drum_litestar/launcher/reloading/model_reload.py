"""Reload of the model folder in a running server: on SIGHUP, and when its files change (``--reload``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.executor import Executor
from drum_litestar.launcher.announcements.announcer import Announcer
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.launcher.predictor_choice import unreadable
from drum_litestar.launcher.preparation import worker_spec
from drum_litestar.predictors.protocol import ModelCard
from drum_litestar.predictors.spec import PredictorSpec

RELOAD_LOGGER: Final = "drum_litestar.reload"

_log = logging.getLogger(RELOAD_LOGGER)


class ModelReload:
    """Reloads the folder, and logs how that went."""

    def __init__(
        self, executor: Executor, plan: LaunchPlan, announcer: Announcer, on_loaded: Callable[[ModelCard], None]
    ) -> None:
        """``on_loaded`` gets the reloaded model's card."""
        self._executor = executor
        self._plan = plan
        self._announcer = announcer
        self._on_loaded = on_loaded
        self._turn = asyncio.Lock()
        self._next: asyncio.Future[None] | None = None
        """A load that has been asked for and has not begun."""

    async def run(self) -> None:
        """Load the folder again, once its first load has ended. A failure is logged; the model goes on as it was."""
        if not self.possible:
            _log.warning("The model is not reloaded: only the pool executor can do that")
            return
        with suppress(ModelLoadError):
            await self._run()

    @property
    def possible(self) -> bool:
        """The executor can load the folder again."""
        return hasattr(self._executor, "reload")

    async def requested(self) -> None:
        """Load the folder again as :meth:`run` does; calls that come while one waits for its turn share it.

        Raises ModelLoadError.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._in_turn())
            self._next.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        await asyncio.shield(self._next)

    async def _in_turn(self) -> None:
        async with self._turn:
            self._next = None
            await self._run()

    async def _run(self) -> None:
        """Raises ModelLoadError, which is logged."""
        executor: Any = self._executor
        await self._executor.wait_started()
        try:
            with self._announcer.loading("Reloading") as elapsed:
                await executor.reload(self._spec)
        except ModelLoadError as error:
            if self._executor.state in ("draining", "stopped"):
                raise
            rest = "the old one goes on" if self._executor.state == "ready" else "no model worker is left"
            _log.error("Reloading the model failed; %s: %s", rest, error, extra={"traceback": error.detail})
            raise
        self._announcer.reloaded(elapsed())
        if self._executor.card is not None:
            self._on_loaded(self._executor.card)

    def _spec(self) -> PredictorSpec:
        """May read and parse a file. Raises ModelLoadError."""
        try:
            return worker_spec(self._plan)
        except OSError as error:
            raise unreadable(self._plan.spec.code_dir, error) from None
