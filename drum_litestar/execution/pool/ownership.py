"""What a model worker and its supervisor know of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from drum_litestar.predictors.protocol import ModelCard

if TYPE_CHECKING:
    from drum_litestar.execution.pool.model_worker import ModelWorker

WorkerState = Literal["starting", "ready", "lost", "retiring", "condemned", "stopping", "dead"]
"""``lost``: its socket has closed, its process not yet ended. ``retiring``: gets no new calls, stops when its last one
has ended. ``condemned``: holds a call past its deadline, gets no new ones, is killed once its other calls have ended.
``stopping``: was told to stop or is being killed."""


class WorkerOwner(Protocol):
    """What a worker tells its supervisor."""

    def worker_ready(self, worker: ModelWorker, card: ModelCard) -> None: ...

    def worker_called(self, worker: ModelWorker) -> None:
        """A call has ended in a worker that stays in service."""

    def worker_condemned(self, worker: ModelWorker) -> None: ...

    def worker_dead(self, worker: ModelWorker, was: WorkerState, how: str) -> None:
        """The process is gone and its calls are answered; ``how`` says it in words."""
