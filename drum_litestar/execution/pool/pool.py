"""The executor over model worker processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.admission import Admission
from drum_litestar.execution.base_executor import BaseExecutor
from drum_litestar.execution.executor import ExecutorState, WorkerStatus
from drum_litestar.execution.pending import PendingCall, Slot
from drum_litestar.execution.pool.model_worker import WorkerState
from drum_litestar.execution.pool.pool_options import PoolOptions
from drum_litestar.execution.pool.supervisor import Supervisor
from drum_litestar.predictors.protocol import ModelCard

_STATE_NAMES = {"unhealthy": "condemned"}
"""Names in ``/stats/`` that clients know, where they differ from :data:`WorkerState`."""


def _state_name(state: WorkerState) -> str:
    return _STATE_NAMES.get(state, state)


class PoolExecutor(BaseExecutor):
    """Runs the model in worker processes.

    ``spec`` describes the predictor to ``options.builder`` in each worker. Workers import its class.
    """

    def __init__(self, spec: msgspec.Struct, options: PoolOptions) -> None:
        super().__init__(error_server=options.error_server)
        self._options = options
        self._spec = spec
        self._admission = Admission(self, options, options.workers.count * options.workers.concurrency(1))
        self._supervisor: Supervisor | None = None

    def _live_state(self) -> ExecutorState:
        if self._supervisor is None or not self._supervisor.loaded_once:
            return "starting"
        return "ready" if self._supervisor.ready else "unready"

    def _begin(self) -> None:
        self._supervisor = Supervisor(self._spec, self._options, self)
        self._supervisor.start()

    @property
    def folder_error(self) -> str:
        return self._supervisor.folder.error if self._supervisor is not None else ""

    def _refusal(self) -> str | None:
        if self._supervisor is None or not self._supervisor.out_of_service:
            return None
        return f"No model worker is ready: the model folder cannot be loaded any more: {self.folder_error}"

    async def reload(self, make_spec: Callable[[], msgspec.Struct] | None = None) -> None:
        """Load the model folder again in new workers; old ones retire when those are ready (SIGHUP). The spec that
        ``make_spec`` makes, in a thread, replaces the present one.

        Raises ModelLoadError when that fails; the model that was served stays in service.
        """
        if self._supervisor is None or not self._supervisor.loaded_once or self._phase is not None:
            raise ModelLoadError(f"The model cannot be reloaded: it is {self.state}")
        if self._admission.batcher is not None:
            self._admission.batcher.model_changes()
        await self._supervisor.reload(make_spec)

    async def _stop_model(self, clean: bool) -> None:
        if self._supervisor is not None:
            await self._supervisor.stop()

    def _force_stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.force_stop()

    def stats(self) -> dict[str, Any]:
        supervisor = self._supervisor
        workers = supervisor.workers if supervisor is not None else []
        return {
            "executor_workers": self._options.workers.count,
            "executor_workers_busy": sum(bool(worker.calls) for worker in workers),
            "executor_stuck": sum(worker.stuck for worker in workers),
            "executor_workers_by_state": dict(Counter(_state_name(worker.state) for worker in workers)),
            "executor_restarts": dict(supervisor.restarts) if supervisor is not None else {},
            **(supervisor.folder.stats() if supervisor is not None else {}),
            **self._admission.stats(),
        }

    def workers(self) -> list[WorkerStatus]:
        workers = self._supervisor.workers if self._supervisor is not None else []
        return [
            WorkerStatus(each.number, each.pid, _state_name(each.state), len(each.calls), each.completed)
            for each in workers
        ]

    def pids(self) -> list[int]:
        return [worker.pid for worker in self._supervisor.workers] if self._supervisor is not None else []

    # SlotSource

    def acquire(self) -> Slot | None:
        """A slot of the least busy worker."""
        assert self._supervisor is not None
        best, most = None, 0
        for worker in self._supervisor.workers:
            free = worker.free
            if free > most:
                best, most = worker, free
        return best

    def prefetch(self, entry: PendingCall) -> None:
        """Prefetch with a single worker only, where it is known where the first call in the queue will run. With
        several, the call would be bound to one while another may be free earlier."""
        assert self._supervisor is not None
        if self._options.workers.count == 1 and self._options.prefetch:
            for worker in self._supervisor.ready:
                worker.prefetch(entry)

    # SupervisorListener

    def card_changed(self, card: ModelCard, threads: int) -> None:
        self._card = card
        self._admission.card_changed(card, self._options.workers.count * threads)

    def capacity_changed(self) -> None:
        assert self._supervisor is not None
        if self._supervisor.ready:
            self._end_start()
            self._admission.dispatch_waiting()
        elif self._phase is not None and not any(worker.state == "starting" for worker in self._supervisor.workers):
            self._admission.fail_waiting("No model worker is left")
        elif (refusal := self._refusal()) is not None:
            self._admission.fail_waiting(refusal)

    def gave_up(self, failure: ModelLoadError) -> None:
        loaded = self._card is not None
        if self._phase is None:
            self._phase = "failed"
        self._failure = failure
        self._end_start()
        self.capacity_changed()
        if loaded:
            self._options.on_fatal(failure)
