"""What all executors have in common: the door, the phases of life, the way down."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.admission import Admission
from drum_litestar.execution.executor import ExecutorState, ReplyStream, Ticket
from drum_litestar.execution.ticket import AdmissionTicket
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply


class BaseExecutor(ABC):
    """Keeps :class:`drum_litestar.execution.executor.Executor`; subclasses say where the model runs."""

    _admission: Admission
    """To be set by the subclass, which is its source of slots."""

    def __init__(self) -> None:
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

    async def start(self) -> None:
        self._started = asyncio.get_running_loop().create_future()
        self._begin()

    async def wait_started(self) -> None:
        if self._started is not None:
            await asyncio.shield(self._started)

    def admit(self) -> Ticket:
        if self._phase is not None:
            raise self._admission.refuse_not_ready(f"The model is not ready: {self.state}")
        return self._admission.take()

    async def wait_loaded(self, ticket: Ticket, deadline: float | None = None) -> None:
        if self._card is None and self._phase is None:
            assert isinstance(ticket, AdmissionTicket)
            await self._admission.loading.wait(ticket, deadline)

    async def submit(self, call: ModelCall, *, ticket: Ticket, deadline: float | None = None) -> Reply | ReplyStream:
        if self._phase in ("failed", "stopped"):
            raise self._admission.refuse_not_ready(f"The model is not ready: {self._phase}")
        assert isinstance(ticket, AdmissionTicket)
        return await self._admission.submit(call, ticket, deadline)

    async def shutdown(self, grace: float) -> None:
        """See :meth:`drum_litestar.execution.executor.Executor.shutdown`. A second call may shorten the grace; with
        0 it also cuts short the model's clean-up."""
        drained = self._admission.drain(grace)
        if self._stopping is None:
            if self._phase is None:
                self._phase = "draining"
            self._admission.loading.end(loaded=False)
            self._stopping = asyncio.get_running_loop().create_task(self._stop(drained))
        elif grace <= 0:
            self._hurry()
        await asyncio.shield(self._stopping)

    async def _stop(self, drained: asyncio.Future[bool]) -> None:
        clean = await drained
        if self._phase == "draining":
            self._phase = "stopped"
        self._admission.fail_waiting("The server is shutting down")
        await self._stop_model(clean)
        self._end_start()

    def _end_start(self) -> None:
        """It is known whether the model can be served."""
        self._admission.loading.end(loaded=self._card is not None)
        if self._started is not None and not self._started.done():
            self._started.set_result(None)

    @abstractmethod
    def _live_state(self) -> ExecutorState:
        """``starting``, ``ready`` or ``unready``."""

    @abstractmethod
    def _begin(self) -> None:
        """Start to load the model; :meth:`_end_start` is to follow."""

    @abstractmethod
    async def _stop_model(self, clean: bool) -> None:
        """Stop the model. Not ``clean``: calls are still running and have to be abandoned."""

    @abstractmethod
    def _hurry(self) -> None:
        """Stop without any more patience, as far as that is possible."""
