"""Observer interface of an executor, for metrics and traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

RejectReason = Literal["queue_full", "queue_timeout", "deadline", "not_ready"]
"""``queue_full`` and ``not_ready`` are decided on admission; the others after a wait in the queue."""

RestartCause = Literal["died", "deadline", "max_requests", "memory", "reload", "load_failed"]
"""Why a model worker was replaced."""


class ExecutorObserver(Protocol):
    """Callbacks on the event loop's thread; they must be quick and must not raise."""

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None:
        """A call left the queue for a slot (0.0 when a slot was free). ``trace`` is the call's trace context."""

    def model_seconds(self, seconds: float) -> None:
        """The model has ended one call; ``seconds`` is its own time, without queue and transport."""

    def batch_rows(self, rows: int) -> None:
        """The model has answered a batch of ``rows`` rows in one call."""

    def rejected(self, reason: RejectReason) -> None:
        """A call was refused before it reached the model."""

    def worker_restarted(self, cause: RestartCause) -> None:
        """A worker is being replaced."""


class NullObserver:
    """Observes nothing."""

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None: ...

    def model_seconds(self, seconds: float) -> None: ...

    def batch_rows(self, rows: int) -> None: ...

    def rejected(self, reason: RejectReason) -> None: ...

    def worker_restarted(self, cause: RestartCause) -> None: ...


class _Both:
    """Two observers as one."""

    def __init__(self, first: ExecutorObserver, second: ExecutorObserver) -> None:
        self._each = (first, second)

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None:
        for observer in self._each:
            observer.queue_wait(seconds, trace)

    def model_seconds(self, seconds: float) -> None:
        for observer in self._each:
            observer.model_seconds(seconds)

    def batch_rows(self, rows: int) -> None:
        for observer in self._each:
            observer.batch_rows(rows)

    def rejected(self, reason: RejectReason) -> None:
        for observer in self._each:
            observer.rejected(reason)

    def worker_restarted(self, cause: RestartCause) -> None:
        for observer in self._each:
            observer.worker_restarted(cause)


def observers(first: ExecutorObserver, second: ExecutorObserver | None) -> ExecutorObserver:
    """One observer that tells ``first``, and ``second`` if there is one."""
    return first if second is None else _Both(first, second)
