"""OpenTelemetry providers of this process, from the standard ``OTEL_*`` variables (contract, 5.6).

Called once in the HTTP process and once in each model worker. The providers become OpenTelemetry's global ones, so
that a hook's own spans, metrics and logs go the same way.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

from drum_litestar.errors import MissingExtraError
from drum_litestar.observability.logs.log_format import ContextFilter
from drum_litestar.observability.tracing.attributes import takes_any_value
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.pip_command import install

_log = logging.getLogger("drum.otel")

SHUTDOWN_TIMEOUT: Final = 5.0
"""Seconds that a flush to a collector which does not answer may delay the end of the process."""

LAST_WITH_LOGS: Final = "'opentelemetry-sdk<1.46' 'opentelemetry-exporter-otlp-proto-http<1.46'"
"""Distributions that have ``LoggingHandler``, which is deprecated, and the modules around it."""


class Telemetry:
    """OpenTelemetry providers of one process; without any, telemetry is disabled."""

    def __init__(self, tracing: Tracing, providers: tuple[Any, ...] = (), handler: logging.Handler | None = None):
        self.tracing = tracing
        self.enabled = bool(providers)
        self._providers = providers
        self._handler = handler
        self._closed = False

    def flush(self, timeout: float = SHUTDOWN_TIMEOUT) -> bool:
        """Send what is queued; False when ``timeout`` seconds were not enough. Blocks the calling thread."""
        return _bounded([provider.force_flush for provider in self._providers], timeout)

    def shutdown(self, timeout: float = SHUTDOWN_TIMEOUT) -> bool:
        """Flush and stop, in at most ``timeout`` seconds. Idempotent. Blocks the calling thread."""
        if self._closed:
            return True
        self._closed = True
        atexit.unregister(self.shutdown)
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
        return _bounded([provider.shutdown for provider in self._providers], timeout)


def configure_telemetry(
    *, sdk_disabled: bool = False, worker: int | None = None, environ: Mapping[str, str] = os.environ
) -> Telemetry:
    """Set up traces, metrics and logs when ``OTEL_EXPORTER_OTLP_ENDPOINT`` asks for it.

    ``sdk_disabled`` is the runtime parameter ``OTEL_SDK_DISABLED`` (any truthy payload). Without the SDK (extra
    ``otel``) a warning names the pip command, and only the API's no-op remains. ``OTEL_{TRACES,METRICS,LOGS}_EXPORTER``
    may be ``none``. Call it after the logging has been configured: it adds a handler to the root logger.
    """
    _load_propagators()
    endpoint = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    if not endpoint:
        _log.info("OTEL is not configured")
        return Telemetry(Tracing())
    if sdk_disabled or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        _log.info("OTEL explictly disabled")
        return Telemetry(Tracing())
    try:
        importlib.import_module("opentelemetry.sdk.trace")
        importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        _log.warning("%s", MissingExtraError("OTEL_EXPORTER_OTLP_ENDPOINT", "otel", "opentelemetry-sdk"))
        return Telemetry(Tracing())
    telemetry = _set_up(worker, environ)
    atexit.register(telemetry.shutdown)
    _log.info("OTEL is configured with endpoint: %s", endpoint)
    return telemetry


def _set_up(worker: int | None, environ: Mapping[str, str]) -> Telemetry:
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create()
    tracer_provider = None
    providers: list[Any] = []
    if _wanted(environ, "TRACES"):
        tracer_provider = _tracer_provider(resource, environ)
        providers.append(tracer_provider)
    if _wanted(environ, "METRICS"):
        providers.append(_meter_provider(resource, environ))
    handler = None
    if _wanted(environ, "LOGS"):
        try:
            logger_provider, handler = _logger_provider(resource, worker)
        except ImportError as error:  # none of what it imports is public yet, and the handler is deprecated
            command = install(LAST_WITH_LOGS)
            _log.warning(
                "Logs are not sent to OTEL_EXPORTER_OTLP_ENDPOINT: %s. Install the last SDK that is known to send them "
                "(%s), or turn this warning off with OTEL_LOGS_EXPORTER=none",
                error,
                command,
            )
        else:
            providers.append(logger_provider)
            logging.getLogger().addHandler(handler)
    return Telemetry(Tracing(tracer_provider), tuple(providers), handler)


def _wanted(environ: Mapping[str, str], signal: str) -> bool:
    return environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none"


def _tracer_provider(resource: Any, environ: Mapping[str, str]) -> Any:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    from drum_litestar.observability.bare import encoder
    from drum_litestar.observability.bare.exporter import batching
    from drum_litestar.observability.bare.tracer import SpanProvider

    # shutdown_on_exit is off for all three: their own exit handlers have no time limit, Telemetry.shutdown has.
    processor, requests_per_item = batching(OTLPSpanExporter(), environ)
    provider = SpanProvider(processor, resource, requests_per_item)
    encoder.install(provider)
    trace.set_tracer_provider(provider)
    return provider


def _meter_provider(resource: Any, environ: Mapping[str, str]) -> Any:
    from opentelemetry import metrics
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
    from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader

    # DRUM's choice; the standard variable wins when it is set.
    temporality = None
    if "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" not in environ:
        temporality = dict.fromkeys((Counter, Histogram, ObservableCounter), AggregationTemporality.DELTA)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(preferred_temporality=temporality))
    provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    return provider


def _logger_provider(resource: Any, worker: int | None) -> tuple[Any, logging.Handler]:
    from opentelemetry import _logs
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from drum_litestar.observability.logs.log_masking import MaskingProcessor

    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    with warnings.catch_warnings():
        # The handler's successor is in a beta package; this one is what DRUM uses, and its records look the same.
        warnings.simplefilter("ignore", DeprecationWarning)
        provider.add_log_record_processor(MaskingProcessor())
        provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        handler: logging.Handler = LoggingHandler(level=logging.DEBUG, logger_provider=provider)
    handler.addFilter(lambda record: not record.name.startswith("opentelemetry"))
    handler.addFilter(ContextFilter(worker))
    handler.addFilter(_flatten_context)
    _logs.set_logger_provider(provider)
    return provider, handler


def _flatten_context(record: logging.LogRecord) -> bool:
    """Older SDKs take no maps: the context as text, which looks the same in the console's format."""
    if not takes_any_value():
        record.context_data = str(getattr(record, "context_data", ""))
    return True


def _load_propagators() -> None:
    """Import the propagators that ``OTEL_PROPAGATORS`` names; the W3C ones when one of them cannot be loaded.

    The API loads them when it is imported, and an unknown name would fail every import for good.
    """
    try:
        importlib.import_module("opentelemetry.propagate")
    except Exception as error:
        _log.warning("%s Using tracecontext and baggage. (Is the extra 'otel' installed?)", error)
        names = os.environ.pop("OTEL_PROPAGATORS", None)
        try:
            importlib.import_module("opentelemetry.propagate")
        finally:
            if names is not None:
                os.environ["OTEL_PROPAGATORS"] = names


def instrument_clients() -> None:
    """Trace the HTTP calls that text targets' hooks make with ``requests`` and ``aiohttp`` (contract, 5.6).

    For workers of text generation and agentic targets, when telemetry is enabled. A missing instrumentation package
    is a warning with DRUM's text.
    """
    for module, name, package in (
        ("opentelemetry.instrumentation.requests", "RequestsInstrumentor", "requests"),
        ("opentelemetry.instrumentation.aiohttp_client", "AioHttpClientInstrumentor", "aiohttp-client"),
    ):
        try:
            instrumentor = getattr(importlib.import_module(module), name)()
        except ImportError:
            _log.warning(
                "Instrumentation for %s is not loaded, make sure appropriate packages are installed: "
                "pip install opentelemetry-instrumentation-%s",
                package.partition("-")[0],
                package,
            )
            continue
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument()


def _bounded(actions: list[Callable[[], Any]], timeout: float) -> bool:
    """Run ``actions`` side by side in daemon threads; False when one has not ended in ``timeout`` seconds."""
    threads = [threading.Thread(target=action, name="otel-flush", daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)  # they wait for the same collector, so at the same time
    return not any(thread.is_alive() for thread in threads)
