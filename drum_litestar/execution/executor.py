"""How the HTTP process reaches the model: the protocol that every executor keeps.

Bytes go in (:class:`~drum_litestar.predictors.protocol.ModelCall`), bytes come out; where the predictor lives is the
executor's own affair.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.queue_limits import MemoryShare
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply, StreamHead

ExecutorState = Literal["starting", "ready", "unready", "failed", "draining", "stopped"]
"""``unready``: was ready, has no live worker just now. ``failed``: the model cannot be loaded."""


class ReplyStream(Protocol):
    """A streamed answer as the HTTP process sees it."""

    head: StreamHead

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks as the model produces them. Ends early only by an exception (the worker died)."""

    async def aclose(self) -> None:
        """Tell the producer to stop and free the slot. Idempotent; safe after the end."""


class Ticket(Protocol):
    """A place in line, taken before the body is read (bounded admission) and given back exactly once."""

    @property
    def memory(self) -> MemoryShare:
        """Where whoever collects the body counts what of it is in memory."""

    def release(self) -> None:
        """Give the place back. Idempotent. A call still computing keeps its *slot* busy until it really ends."""


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

    async def start(self) -> None:
        """Begin to load; returns at once."""

    async def wait_started(self) -> None:
        """Return when ``state`` has left ``starting``."""

    def admit(self) -> Ticket:
        """Take a place in line, also while the model loads. Raises QueueFullError when slots and queue are full,
        ModelNotReadyError when nothing could ever serve the call."""

    async def wait_loaded(self, ticket: Ticket, deadline: float | None = None) -> None:
        """Return when :attr:`card` is known, or when it is known that there will be none (``state`` says why).

        The wait counts against the queue's timeout. Raises ModelNotReadyError after that, DeadlineExceededError at
        ``deadline`` (event-loop time). Cancelling the awaiting task is how a caller leaves."""

    async def submit(self, call: ModelCall, *, ticket: Ticket, deadline: float | None = None) -> Reply | ReplyStream:
        """Run ``call``; ``deadline`` is event-loop time.

        Raises QueueTimeoutError, DeadlineExceededError, WorkerDiedError, ModelNotReadyError. Cancelling the awaiting
        task drops a call that waits, and abandons (without freeing its slot early) one that computes.
        """

    async def shutdown(self, grace: float) -> None:
        """Refuse new calls, let running ones end within ``grace`` seconds, then stop the model. Idempotent."""

    def stats(self) -> dict[str, Any]:
        """``executor_*`` and ``backpressure_*`` counters for ``/stats/``."""

    def pids(self) -> list[int]:
        """Processes that hold a copy of the model (this one, for an inline executor)."""
