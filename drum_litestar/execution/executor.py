"""The executor protocol: how the HTTP process reaches the model; and the options that all executors have.

Bytes go in (:class:`~drum_litestar.predictors.protocol.ModelCall`), bytes come out. Each executor decides where the
predictor runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol

import msgspec

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.observer import ExecutorObserver, NullObserver
from drum_litestar.execution.queue_limits import Ticket
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply, StreamHead
from drum_litestar.settings.groups.limits import TimeoutSettings
from drum_litestar.settings.groups.serving import AdmissionSettings, WorkerSettings

ExecutorState = Literal["starting", "ready", "unready", "failed", "draining", "stopped"]
"""``unready``: was ready, but has no live worker at present, or only stuck slots. ``failed``: the model cannot be
loaded."""


class ReplyStream(Protocol):
    """A streamed answer as the HTTP process sees it."""

    head: StreamHead

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks as the model produces them. Ends early only by an exception (the worker died)."""

    async def aclose(self) -> None:
        """Tell the producer to stop and free the slot. Idempotent; safe after the end."""


class WorkerStatus(msgspec.Struct, frozen=True):
    """One process that holds a copy of the model."""

    number: int
    """From 1; 0 for the server's own process."""
    pid: int
    state: str
    """As in ``/stats/``."""
    running: int
    """Calls that it computes now."""
    completed: int
    """Calls of the model that have ended there; a batch counts once."""


class Executor(Protocol):
    """Admission, dispatch and lifecycle of the model."""

    @property
    def state(self) -> ExecutorState: ...

    @property
    def card(self) -> ModelCard | None:
        """Set from the first time a worker was ready."""

    @property
    def failure(self) -> ModelLoadError | None:
        """Why the model cannot be loaded, when ``state`` is ``failed``."""

    @property
    def folder_error(self) -> str:
        """Why the model folder could not be loaded again, by a reload or by a worker that replaces another one; empty
        when it could."""

    async def start(self) -> None:
        """Begin to load; returns at once."""

    async def wait_started(self) -> None:
        """Return when ``state`` has left ``starting``."""

    def check_failure(self) -> None:
        """Raises ModelFailedError when the model cannot be loaded and the error server is on (contract, 5.1; Q-22)."""

    def admit(self) -> Ticket:
        """A ticket, also while the model loads. Raises QueueFullError when slots and queue are full,
        ModelNotReadyError when nothing could ever serve the call, and as :meth:`check_failure`. The caller must release
        the ticket."""

    async def wait_loaded(self, ticket: Ticket, deadline: float | None = None) -> None:
        """Return when :attr:`card` is known, or when it is known that there will be none (``state`` says why).

        The wait counts against the queue timeout. Raises ModelNotReadyError after that, DeadlineExceededError at
        ``deadline`` (event-loop time). Cancelling the awaiting task ends the wait."""

    async def submit(self, call: ModelCall, *, ticket: Ticket, deadline: float | None = None) -> Reply | ReplyStream:
        """Run ``call``; ``deadline`` is event-loop time.

        Raises QueueTimeoutError, DeadlineExceededError, WorkerDiedError, ModelNotReadyError. Cancelling the awaiting
        task drops a call that waits, and abandons (without freeing its slot early) one that computes.
        """

    async def shutdown(self, grace: float) -> None:
        """Refuse new calls, let running ones end within ``grace`` seconds, then stop the model. Idempotent."""

    def stats(self) -> dict[str, Any]:
        """``executor_*`` and ``backpressure_*`` counters for ``/stats/``; ``executor_stuck`` are calls that hold a slot
        past their deadline."""

    def workers(self) -> list[WorkerStatus]:
        """State of the processes that :meth:`pids` names."""

    def pids(self) -> list[int]:
        """Processes that hold a copy of the model (this one, for an inline executor)."""


class ExecutorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options that all executors have: groups of settings, and what is connected to the executor."""

    workers: WorkerSettings = WorkerSettings()
    """An executor in the HTTP process has no worker and takes only ``threads``."""
    admission: AdmissionSettings = AdmissionSettings()
    timeouts: TimeoutSettings = TimeoutSettings()
    """``request_timeout`` is only named in the text of a 504: the deadline comes with each call."""
    error_server: bool = False
    """A model that cannot be loaded is answered with 513 and the reason, not with 503."""
    observer: ExecutorObserver = NullObserver()
