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
from drum_litestar.execution.queue_limits import DEFAULT_QUEUE_MEMORY, Ticket
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Reply, StreamHead

ExecutorState = Literal["starting", "ready", "unready", "failed", "draining", "stopped"]
"""``unready``: was ready, but has no live worker at present. ``failed``: the model cannot be loaded."""


class ReplyStream(Protocol):
    """A streamed answer as the HTTP process sees it."""

    head: StreamHead

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Chunks as the model produces them. Ends early only by an exception (the worker died)."""

    async def aclose(self) -> None:
        """Tell the producer to stop and free the slot. Idempotent; safe after the end."""


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
        """``executor_*`` and ``backpressure_*`` counters for ``/stats/``."""

    def pids(self) -> list[int]:
        """Processes that hold a copy of the model (this one, for an inline executor)."""


class ExecutorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options that all executors have. Times are in seconds. The defaults are those of the settings."""

    threads: int | None = None
    """Concurrent calls for each copy of the model; None takes the card's ``concurrency``."""
    queue_depth: int | None = None
    """Calls that may wait; None is :func:`drum_litestar.execution.queue_limits.default_queue_depth`."""
    queue_memory: int = DEFAULT_QUEUE_MEMORY
    """Bytes in memory of the bodies of all waiting calls."""
    queue_timeout: float = 30.0
    """Longest wait for a slot, the wait for the model to load included."""
    max_in_flight: int | None = None
    """Caps the slots in use, over all workers."""
    request_timeout: float | None = None
    """Named in the text of a 504, which otherwise derives it from the deadline; the deadline comes with each call."""
    stream_idle_timeout: float | None = 300.0
    """Longest time without progress of a stream that has started, in the model or in its reader."""
    batch_max_rows: int | None = 1
    """Most rows in one batch; 1 turns batching off. Batches are made once the card says that they can be.

    None: calls that wait anyway are batched if the card says that they always can be."""
    batch_max_wait: float = 0.0
    """Flush interval; 0 batches only calls that wait anyway. Of no effect without a number of rows."""
    error_server: bool = False
    """A model that cannot be loaded is answered with 513 and the reason, not with 503."""
    observer: ExecutorObserver = NullObserver()
