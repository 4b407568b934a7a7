"""Observer of the executor and of the routes: updates metrics, traces and ``/stats/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from drum_litestar.observability.metrics.inference_statistics import InferenceStatistics
from drum_litestar.observability.metrics.prometheus import Metrics
from drum_litestar.observability.metrics.stats import StatsReporter
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.predictors.protocol import CallKind

_INFERENCES: Final = frozenset({"infer", "infer_v1", "generate", "generate_stream"})
_PREDICTIONS: Final = frozenset(
    {"predict", "predict_stream", "transform", "unstructured", "chat", "completion", "embed", *_INFERENCES}
)


class ExecutorTelemetry:
    """Implements the executor's observer protocol; each destination is optional."""

    def __init__(
        self,
        *,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
        stats: StatsReporter | None = None,
        inferences: InferenceStatistics | None = None,
        on_rejected: Callable[[str], None] | None = None,
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self._metrics = metrics
        self._tracing = tracing if tracing is not None and tracing.enabled else None
        self._on_rejected = on_rejected
        self._on_restart = on_restart
        self._stats = stats
        self._inferences = inferences

    def queue_wait(self, seconds: float, trace: Mapping[str, str]) -> None:
        """Record a call's wait for a worker; ``trace`` (``ModelCall.trace``) names the request."""
        if self._inferences is not None:
            self._inferences.queue.add(seconds)
        if self._metrics is not None:
            self._metrics.queue_wait.observe(seconds)
        if self._tracing is not None:
            self._tracing.queue_waited(seconds, trace)

    def model_seconds(self, seconds: float) -> None:
        """Record the time that one call of the model took."""
        if self._inferences is not None:
            self._inferences.compute.add(seconds)
        if self._metrics is not None:
            self._metrics.model_seconds.observe(seconds)

    def batch_rows(self, rows: int) -> None:
        """Record the rows of one call of the model."""
        if self._metrics is not None:
            self._metrics.batch_rows.observe(rows)

    def rejected(self, reason: str) -> None:
        """Count a call that was refused without asking the model; ``reason`` is one of a few fixed words."""
        if self._metrics is not None:
            self._metrics.rejected(reason)
        if self._on_rejected is not None:
            self._on_rejected(reason)

    def worker_restarted(self, cause: str) -> None:
        """Count a replaced worker; ``cause`` is one of a few fixed words."""
        if self._metrics is not None:
            self._metrics.worker_restarted(cause)
        if self._on_restart is not None:
            self._on_restart(cause)

    def call_answered(self, kind: CallKind, status: int, seconds: float) -> None:
        """Count one finished prediction for ``/stats/``, failed ones too; probes and ``/models`` are not counted."""
        if self._inferences is not None and kind in _INFERENCES:
            self._inferences.answered(status, seconds)
        if self._stats is not None and kind in _PREDICTIONS:
            self._stats.observe(seconds)
