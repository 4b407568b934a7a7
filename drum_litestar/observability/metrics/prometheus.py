"""Prometheus metrics of the HTTP process, in a registry of their own.

One process sees every request and every worker, so there is nothing to aggregate and no multiprocess directory.
Values that other components own (queue depth, workers, memory) are read at each scrape.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import psutil

from drum_litestar.observability.metrics.request_series import PlainHistogram, RequestSeries, RouteLabels
from drum_litestar.observability.metrics.resources import memory_status
from drum_litestar.predictors.protocol import ModelCard

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
ROW_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536)


def create_metrics(
    *,
    executor_stats: Callable[[], Mapping[str, Any]] | None = None,
    workers: Callable[[], Mapping[str, int]] | None = None,
) -> Metrics | None:
    """Create the metrics; None when ``prometheus-client`` (extra ``prometheus``) is not installed.

    ``executor_stats`` gives the executor's counters (its ``stats()``); ``workers`` gives a name and a pid for each
    model worker. Both are called at each scrape.
    """
    try:
        import prometheus_client  # noqa: F401
    except ImportError:
        return None
    return Metrics(executor_stats or dict, workers or dict)


class Metrics:
    """Updates the series and renders them for a scrape.

    What is observed for each request (:meth:`request_finished` and the histograms) takes no lock: call it on one
    thread, the event loop's. The other methods may be called on any.
    """

    def __init__(
        self, executor_stats: Callable[[], Mapping[str, Any]], workers: Callable[[], Mapping[str, int]]
    ) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge

        self.registry = registry = CollectorRegistry()
        self._requests = RequestSeries(BUCKETS)
        self._routes = RouteLabels()
        registry.register(self._requests)
        self._connections = Gauge("drum_connections", "Open client connections.", registry=registry)
        self.queue_wait = PlainHistogram("drum_queue_wait_seconds", "Wait of a call for a worker.", BUCKETS)
        self.model_seconds = PlainHistogram("drum_model_seconds", "Time of a call in its worker.", BUCKETS)
        self.batch_rows = PlainHistogram("drum_batch_rows", "Rows of one call of the model.", ROW_BUCKETS)
        for histogram in (self.queue_wait, self.model_seconds, self.batch_rows):
            registry.register(histogram)
        self._restarts = Counter("drum_worker_restarts", "Model workers replaced.", ("cause",), registry=registry)
        self._rejected = Counter(
            "drum_rejected", "Requests refused without asking the model.", ("reason",), registry=registry
        )
        self._info = Gauge(
            "drum_model_info",
            "The model served; always 1.",
            ("target_type", "predictor", "language"),
            registry=registry,
        )
        registry.register(_Scraped(executor_stats, workers))

    def request_finished(self, method: str, path: str, route: str | None, status: int, seconds: float) -> None:
        """Count one finished request. ``route`` is the template of the matched route, None for a request that was
        refused before routing; its label is then the template that fits ``path``, never ``path`` itself."""
        self._requests.finished(method, route or self._routes.find(path), status, seconds)

    def set_routes(self, templates: Iterable[str]) -> None:
        """Set the templates of all routes, to label requests that were refused before routing."""
        self._routes = RouteLabels(templates)

    def connection_opened(self) -> None:
        """Count an open client connection."""
        self._connections.inc()

    def connection_closed(self) -> None:
        """Count an open client connection no longer."""
        self._connections.dec()

    def worker_restarted(self, cause: str) -> None:
        """Count a replaced worker. ``cause`` is a fixed word (crash, deadline, memory, ...), never free text."""
        self._restarts.labels(cause).inc()

    def rejected(self, reason: str) -> None:
        """Count a refusal. ``reason`` is a fixed word (queue_full, queue_timeout, rate_limit, ...), never free text."""
        self._rejected.labels(reason).inc()

    def set_model_info(self, card: ModelCard) -> None:
        """Set ``drum_model_info`` to ``card``, replacing the previous model's."""
        self._info.clear()
        info = card.info
        self._info.labels(
            card.target_type.value, str(info.get("predictor") or ""), str(info.get("language") or "")
        ).set(1)

    def export(self) -> None:
        """Export the series by OpenTelemetry's global provider, too."""
        from opentelemetry import metrics

        from drum_litestar.observability.metrics.otlp_metrics import export_metrics

        export_metrics(self.registry, metrics.get_meter("drum_litestar"))

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return the scrape's body and content type, by the ``Accept`` header (OpenMetrics when asked for).

        Blocks for some milliseconds, because it reads ``/proc`` for each process: call it off the event loop.
        """
        from prometheus_client.exposition import choose_encoder

        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type


class _Scraped:
    """Collector of values that other components own."""

    def __init__(
        self, executor_stats: Callable[[], Mapping[str, Any]], workers: Callable[[], Mapping[str, int]]
    ) -> None:
        self._executor_stats = executor_stats
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        stats = self._executor_stats()
        for name, key, text in (
            ("drum_predictions_in_progress", "executor_in_flight", "Calls that the model is answering."),
            ("drum_executor_queue_depth", "executor_queue_depth", "Calls that wait for a worker."),
            ("drum_executor_queue_memory_bytes", "executor_queue_memory", "Bodies of waiting calls in memory."),
            ("drum_executor_workers_busy", "executor_workers_busy", "Slots of model workers in use."),
        ):
            yield GaugeMetricFamily(name, text, value=float(stats.get(key) or 0))
        reloads = CounterMetricFamily("drum_model_reloads", "Reloads of the model folder.", labels=("result",))
        for result in ("succeeded", "failed"):
            reloads.add_metric((result,), (stats.get("executor_reloads") or {}).get(result, 0))
        yield reloads
        yield GaugeMetricFamily(
            "drum_model_last_reload_successful",
            "0 while workers serve what was loaded before a reload that failed, or none is left.",
            value=0.0 if stats.get("executor_reload_error") else 1.0,
        )
        loaded_at = GaugeMetricFamily(
            "drum_model_loaded_timestamp_seconds", "When the model folder was first loaded, or last reloaded in full."
        )
        if stats.get("executor_loaded_at"):
            loaded_at.add_metric((), stats["executor_loaded_at"])
        yield loaded_at
        memory = GaugeMetricFamily(
            "drum_memory_bytes", "Memory of each process, and of the container.", labels=("type", "process")
        )
        for process, pid in {"server": os.getpid(), **self._workers()}.items():
            with contextlib.suppress(psutil.Error):
                used = psutil.Process(pid).memory_info()
                memory.add_metric(("rss", process), used.rss)
                memory.add_metric(("vms", process), used.vms)
        status = memory_status()
        for kind, size in (("limit", status.limit), ("used", status.used), ("available", status.available)):
            if size is not None:
                memory.add_metric((kind, "container"), size)
        yield memory
        if status.oom_kills is not None:
            yield CounterMetricFamily(
                "drum_oom_kills", "Processes killed by the kernel for lack of memory.", value=status.oom_kills
            )
