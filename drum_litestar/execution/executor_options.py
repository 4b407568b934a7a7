"""Options that all executors have. The composition root resolves them from the settings."""

from __future__ import annotations

import msgspec

from drum_litestar.execution.observer import ExecutorObserver, NullObserver
from drum_litestar.execution.queue_limits import DEFAULT_QUEUE_MEMORY


class ExecutorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in seconds. The defaults are those of the settings."""

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
    """Longest silence of a stream that has started, in the model or in its reader."""
    batch_max_rows: int = 1
    """Most rows in one batch; 1 turns batching off. Batches are made once the card says that they can be."""
    batch_max_wait: float = 0.0
    """Flush interval; 0 batches only calls that wait anyway."""
    observer: ExecutorObserver = NullObserver()
