"""The base class of all executors: admission, lifecycle, shutdown."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from drum_litestar.errors import ModelFailedError, ModelLoadError
from drum_litestar.execution.admission import Admission
from drum_litestar.execution.executor import ExecutorState, ReplyStream, WorkerStatus
from drum_litestar.execution.queue_limits import Ticket
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply


class BaseExecutor(ABC):
    """Implements :class:`drum_litestar.execution.executor.Executor`; subclasses decide where the model runs."""

    _admission: Admission
    """To be set by the subclass, which is its :class:`drum_litestar.execution.pending.SlotSource`."""

    def __init__(self, *, error_server: bool) -> None:
        self._error_server = error_server
        self._card: ModelCard | None = None
        self._failure: ModelLoadError | None = None
        self._phase: ExecutorState | None = None
        """Set for good once it is ``failed``, ``draining`` or ``stopped``."""
        self._started: asyncio.Future[None] | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def state(self) -> ExecutorState:
        return self._phase or self._live_state()

    @property
    def card(self) -> ModelCard | None:
        return self._card

    @property
    def failure(self) -> ModelLoadError | None:
        return self._failure

    @property
    def folder_error(self) -> str:
        return ""

    async def start(self) -> None:
        self._started = asyncio.get_running_loop().create_future()
        self._begin()

    async def wait_started(self) -> None:
        if self._started is not None:
            await asyncio.shield(self._started)

    def check_failure(self) -> None:
        if self._error_server and self._phase == "failed" and self._failure is not None:
            raise ModelFailedError(self._failure.reason)

    def admit(self) -> Ticket:
        self.check_failure()
        if self._phase is not None:
            raise self._admission.refuse_not_ready(f"The model is not ready: {self.state}")
        if (refusal := self._refusal()) is not None:
            raise self._admission.refuse_not_ready(refusal)
        return self._admission.admit()

    async def wait_loaded(self, ticket: Ticket, deadline: float | None = None) -> None:
        if self._card is None and self._phase is None:
            await self._admission.load_queue.wait(ticket, deadline)

    async def submit(self, call: ModelCall, *, ticket: Ticket, deadline: float | None = None) -> Reply | ReplyStream:
        if self._phase in ("failed", "stopped"):
            raise self._admission.refuse_not_ready(f"The model is not ready: {self._phase}")
        if (refusal := self._refusal()) is not None:  # since it was admitted
            raise self._admission.refuse_not_ready(refusal)
        return await self._admission.submit(call, ticket, deadline)

    async def shutdown(self, grace: float) -> None:
        """See :meth:`drum_litestar.execution.executor.Executor.shutdown`. A second call may shorten the grace; with
        0 it also force stops the model."""
        drained = self._admission.drain(grace)
        if self._stopping is None:
            if self._phase is None:
                self._phase = "draining"
            self._admission.load_queue.end(loaded=False)
            self._stopping = asyncio.get_running_loop().create_task(self._stop(drained))
        elif grace <= 0:
            self._force_stop()
        await asyncio.shield(self._stopping)

    async def _stop(self, drained: asyncio.Future[bool]) -> None:
        clean = await drained
        if self._phase == "draining":
            self._phase = "stopped"
        self._admission.fail_waiting("The server is shutting down")
        await self._stop_model(clean)
        self._end_start()

    def _end_start(self) -> None:
        """End the start: it is known now whether the model can be served."""
        self._admission.load_queue.end(loaded=self._card is not None)
        if self._started is not None and not self._started.done():
            self._started.set_result(None)

    def _refusal(self) -> str | None:
        """The text for calls that would wait in vain at present; None when they are served or may wait."""
        return None

    @abstractmethod
    def _live_state(self) -> ExecutorState:
        """``starting``, ``ready`` or ``unready``."""

    @abstractmethod
    def _begin(self) -> None:
        """Start to load the model; a call of :meth:`_end_start` must follow."""

    @abstractmethod
    async def _stop_model(self, clean: bool) -> None:
        """Stop the model. Not ``clean``: calls are still running and have to be abandoned."""

    @abstractmethod
    def _force_stop(self) -> None:
        """Stop without waiting for running work and clean-up, as far as that is possible."""

    @abstractmethod
    def stats(self) -> dict[str, Any]:
        """See :meth:`drum_litestar.execution.executor.Executor.stats`."""

    @abstractmethod
    def workers(self) -> list[WorkerStatus]:
        """See :meth:`drum_litestar.execution.executor.Executor.workers`."""

    @abstractmethod
    def pids(self) -> list[int]:
        """See :meth:`drum_litestar.execution.executor.Executor.pids`."""
