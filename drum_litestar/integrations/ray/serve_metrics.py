"""Metrics of a replica in Ray's own system: Ray adds application, deployment and replica to each, and exports them.

The names are those of ``/metrics``, which Ray prefixes with ``ray_``. Requests and their durations are Ray's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drum_litestar.execution.observer import ExecutorObserver, RejectReason, RestartCause
from drum_litestar.extras import require
from drum_litestar.observability.metrics.prometheus import BUCKETS, ROW_BUCKETS

GAUGES: Final = (
    ("drum_predictions_in_progress", "executor_in_flight", "Calls that the model is answering."),
    ("drum_executor_queue_depth", "executor_queue_depth", "Calls that wait for a worker."),
    ("drum_executor_workers_busy", "executor_workers_busy", "Slots of model workers in use."),
)


class ServeMetrics(ExecutorObserver):
    """An observer of the executor. Make it in a replica."""

    def __init__(self) -> None:
        metrics: Any = require("ray.serve.metrics", "Ray Serve", "ray")
        seconds, rows = list(BUCKETS), [float(rows) for rows in ROW_BUCKETS]
        self._queue_wait = metrics.Histogram(
            "drum_queue_wait_seconds", description="Wait of a call for a worker.", boundaries=seconds
        )
        self._model_seconds = metrics.Histogram(
            "drum_model_seconds", description="Time of a call in its worker.", boundaries=seconds
        )
        self._batch_rows = metrics.Histogram(
            "drum_batch_rows", description="Rows of one call of the model.", boundaries=rows
        )
        self._rejected = metrics.Counter(
            "drum_rejected_total", description="Requests refused without asking the model.", tag_keys=("reason",)
        )
        self._restarts = metrics.Counter(
            "drum_worker_restarts_total", description="Model workers replaced.", tag_keys=("cause",)
        )
        self._gauges = [(key, metrics.Gauge(name, description=text)) for name, key, text in GAUGES]

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None:
        self._queue_wait.observe(seconds)

    def model_seconds(self, seconds: float) -> None:
        self._model_seconds.observe(seconds)

    def batch_rows(self, rows: int) -> None:
        self._batch_rows.observe(rows)

    def rejected(self, reason: RejectReason) -> None:
        self._rejected.inc(1, {"reason": reason})

    def worker_restarted(self, cause: RestartCause) -> None:
        self._restarts.inc(1, {"cause": cause})

    def show(self, stats: Mapping[str, Any]) -> None:
        """Set the gauges from the executor's ``stats()``."""
        for key, gauge in self._gauges:
            gauge.set(float(stats.get(key) or 0))
