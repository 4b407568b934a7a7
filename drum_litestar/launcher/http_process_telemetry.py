"""Observability of the HTTP process, connected to the parts that it observes."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from drum_litestar.console.console import Console
from drum_litestar.execution.executor import Executor
from drum_litestar.http.app_options import AppOptions
from drum_litestar.launcher.refusals import RefusalLog
from drum_litestar.middleware.access_log import OnRequestEnd
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.middleware.tracing import TracingMiddleware
from drum_litestar.observability.metrics.execution_telemetry import ExecutorTelemetry
from drum_litestar.observability.metrics.inference_statistics import InferenceStatistics
from drum_litestar.observability.metrics.prometheus import Metrics, create_metrics
from drum_litestar.observability.metrics.stats import StatsReporter
from drum_litestar.observability.providers import configure_telemetry
from drum_litestar.predictors.protocol import ModelCard
from drum_litestar.server.http.observers import ConnectionEvents
from drum_litestar.settings.server_settings import ServerSettings


class ConnectionMetrics(ConnectionEvents):
    """Connection events as metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self.opened = metrics.connection_opened  # type: ignore[method-assign]
        self.closed = metrics.connection_closed  # type: ignore[method-assign]
        self._metrics = metrics

    def slow(self, reason: str) -> None:
        self._metrics.rejected(f"slow_{reason}")


class HttpProcessTelemetry:
    """Metrics, traces and ``/stats/`` of the HTTP process. Without the extra ``prometheus`` there are no metrics."""

    def __init__(
        self, settings: ServerSettings, *, show_perf: bool, otel_disabled: bool, console: Console | None = None
    ) -> None:
        self.console = console
        self._executor: Executor | None = None
        self.metrics = create_metrics(executor_stats=self._executor_stats, workers=self._workers)
        self.otel = configure_telemetry(sdk_disabled=otel_disabled, trace_steps=settings.traces.steps)
        if self.otel.enabled and self.metrics is not None:
            self.metrics.export()
        self.stats = StatsReporter(self._pids, self._executor_stats, show_perf)
        self.inferences = InferenceStatistics()
        self.refusals = RefusalLog(settings, self._executor_stats)
        self.observer = ExecutorTelemetry(
            metrics=self.metrics,
            tracing=self.otel.tracing,
            stats=self.stats,
            inferences=self.inferences,
            on_rejected=self._refused,
            on_restart=console.worker_restarted if console is not None else None,
        )
        self.connections = ConnectionMetrics(self.metrics) if self.metrics is not None else ConnectionEvents()

    def attach(self, executor: Executor) -> None:
        """Set the executor that metrics and ``/stats/`` report on."""
        self._executor = executor

    def _executor_stats(self) -> dict[str, Any]:
        return self._executor.stats() if self._executor is not None else {}

    def _pids(self) -> list[int]:
        return self._executor.pids() if self._executor is not None else []

    def _workers(self) -> dict[str, int]:
        own = os.getpid()  # the pid of an inline executor; this process is reported anyway
        return {f"worker-{number}": pid for number, pid in enumerate(self._pids(), 1) if pid != own}

    def add_to(self, options: AppOptions) -> AppOptions:
        """``options`` with what the application reports and shows."""
        metrics = self.metrics
        return replace(
            options,
            stats=self.stats.report,
            inference_stats=self.inferences.report,
            metrics=metrics.render if metrics is not None else None,
            on_routes=metrics.set_routes if metrics is not None else None,
            on_rejected=self.refused,
            on_observe=self.observer.call_answered,
            console=self.console,
            on_shutdown=(*options.on_shutdown, self._close),
        )

    @property
    def request_ended(self) -> OnRequestEnd | None:
        """Called at the end of each request; None without metrics and console."""
        finished = self.metrics.request_finished if self.metrics is not None else None
        return finished if self.console is None else self.console.requests.recording(finished)

    def refused(self, reason: str) -> None:
        """Record a rejection outside the executor, which reports its own."""
        self._refused(reason)
        if self.metrics is not None:
            self.metrics.rejected(reason)

    def _refused(self, reason: str) -> None:
        self.refusals.refused(reason)
        if self.console is not None:
            self.console.refused(reason)

    def traced(self, app: ASGIApp) -> ASGIApp:
        """``app`` with a span for each request to the model, when spans are exported."""
        if not self.otel.tracing.enabled:
            return app
        return TracingMiddleware(app, self.otel.tracing)

    def model_loaded(self, card: ModelCard) -> None:
        if self.metrics is not None:
            self.metrics.set_model_info(card)

    async def _close(self, _: object) -> None:
        self.stats.close()
        await asyncio.to_thread(self.otel.shutdown)
