"""OpenTelemetry providers of this process, from the standard ``OTEL_*`` variables (contract, 5.6).

Called once in the HTTP process and once in each model worker. The providers become OpenTelemetry's global ones, so
that a hook's own spans, metrics and logs go the same way. One that is global already, such as those of
``opentelemetry-instrument``, stays and is used.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, Final

from drum_litestar.errors import MissingExtraError
from drum_litestar.observability.logs.log_format import ContextFilter
from drum_litestar.observability.tracing.attributes import TAKES_ANY_VALUE
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.pip_command import install

_log = logging.getLogger("drum.otel")

SERVICE_NAME: Final = "drum-litestar"
"""The resource's ``service.name`` where neither ``OTEL_SERVICE_NAME`` nor ``OTEL_RESOURCE_ATTRIBUTES`` sets one."""

SHUTDOWN_TIMEOUT: Final = 5.0
"""Seconds that a flush to a collector which does not answer may delay the end of the process."""

LAST_WITH_LOGS: Final = "'opentelemetry-sdk<1.46' 'opentelemetry-exporter-otlp-proto-http<1.46'"
"""Distributions that have ``LoggingHandler``, which is deprecated, and the modules around it."""


class Telemetry:
    """What spans are made with, and the OpenTelemetry providers that end with this process."""

    def __init__(self, tracing: Tracing, providers: tuple[Any, ...] = (), handler: logging.Handler | None = None):
        self.tracing = tracing
        self.enabled = tracing.enabled or bool(providers)
        self._providers = providers
        self._handler = handler
        self._closed = False

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
    *, sdk_disabled: bool = False, worker: int | None = None, trace_steps: bool = False
) -> Telemetry:
    """Set up traces, metrics and logs when ``OTEL_EXPORTER_OTLP_ENDPOINT`` asks for it.

    ``sdk_disabled`` is the runtime parameter ``OTEL_SDK_DISABLED`` (any truthy payload); ``trace_steps`` is for
    ``Tracing``. Without the SDK (extra ``otel``) a warning names the pip command, and only the API's no-op remains.
    ``OTEL_{TRACES,METRICS,LOGS}_EXPORTER`` may be ``none``. Call it after the logging has been configured: it adds a
    handler to the root logger.
    """
    _load_propagators()
    endpoint = _variable("OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = sdk_disabled or _variable("OTEL_SDK_DISABLED").lower() == "true"
    given = None if disabled else _given_provider()
    if given is None and not endpoint:
        logging.getLogger("drum").info("OTEL is not configured")
        return Telemetry(Tracing())
    if disabled:
        _log.info("OTEL explictly disabled")
        return Telemetry(Tracing())
    if not endpoint:
        _log.info("OTEL is configured outside of the server")
        return Telemetry(Tracing(given, steps=trace_steps))
    try:
        importlib.import_module("opentelemetry.sdk.trace")
    except ImportError:
        _log.warning("%s", MissingExtraError("OTEL_EXPORTER_OTLP_ENDPOINT", "otel", "opentelemetry-sdk"))
        return Telemetry(Tracing())
    telemetry = _Setup(given, worker).run(trace_steps)
    atexit.register(telemetry.shutdown)
    _log.info("OTEL is configured with endpoint: %s", endpoint)
    return telemetry


def _variable(name: str) -> str:
    """The value of an environment variable; empty is as good as unset."""
    return os.environ.get(name, "").strip()


def _given_provider() -> Any:
    """The provider of spans that somebody has set before; None if there is none of the SDK's."""
    from opentelemetry import trace

    try:
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError:
        return None
    provider = trace.get_tracer_provider()
    return provider if isinstance(provider, TracerProvider) else None


class _Setup:
    """Makes the providers that are wanted and not there yet. Each signal may lack its exporter."""

    def __init__(self, given: Any, worker: int | None) -> None:
        from opentelemetry.sdk.resources import Resource

        self._worker = worker
        self._tracer_provider = given
        self._providers: list[Any] = []
        self._handler: logging.Handler | None = None
        self._resource = Resource.create()
        if str(self._resource.attributes.get("service.name", "")).startswith("unknown_service"):  # the SDK's default
            self._resource = self._resource.merge(Resource({"service.name": SERVICE_NAME}))

    def run(self, trace_steps: bool) -> Telemetry:
        # shutdown_on_exit is off for all three: their own exit handlers have no time limit, Telemetry.shutdown has.
        for signal, set_up in (("TRACES", self._traces), ("METRICS", self._metrics), ("LOGS", self._logs)):
            if _variable(f"OTEL_{signal}_EXPORTER").lower() == "none":
                continue
            general = _variable("OTEL_EXPORTER_OTLP_PROTOCOL")
            grpc = (_variable(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or general).lower() == "grpc"
            try:
                set_up(grpc)
            except ImportError as error:
                missing = "opentelemetry-exporter-otlp-proto-" + ("grpc" if grpc else "http")
                if signal == "LOGS" and "grpc" not in str(error):
                    missing = LAST_WITH_LOGS  # none of what is imported for logs is public yet
                _log.warning(
                    "%s are not sent to OTEL_EXPORTER_OTLP_ENDPOINT: %s. Install what is known to send them (%s), or "
                    "turn this warning off with OTEL_%s_EXPORTER=none",
                    signal.capitalize(),
                    error,
                    install(missing),
                    signal,
                )
        return Telemetry(Tracing(self._tracer_provider, steps=trace_steps), tuple(self._providers), self._handler)

    def _traces(self, grpc: bool) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        if self._tracer_provider is not None:
            return
        if grpc:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        self._tracer_provider = provider
        self._providers.append(provider)

    def _metrics(self, grpc: bool) -> None:
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
        from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
        from opentelemetry.sdk.version import __version__ as sdk_version

        if isinstance(metrics.get_meter_provider(), MeterProvider):
            return
        if grpc:
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        else:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        # DRUM's choice; the standard variable wins when it is set.
        temporality = None
        if not _variable("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"):
            temporality = dict.fromkeys((Counter, Histogram, ObservableCounter), AggregationTemporality.DELTA)
            if sdk_version.startswith("1.20."):  # its differences of observed counters are wrong
                del temporality[ObservableCounter]
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(preferred_temporality=temporality))
        provider = MeterProvider(metric_readers=[reader], resource=self._resource, shutdown_on_exit=False)
        metrics.set_meter_provider(provider)
        self._providers.append(provider)

    def _logs(self, grpc: bool) -> None:
        from opentelemetry import _logs
        from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        from drum_litestar.observability.logs.log_masking import MaskingProcessor

        if isinstance(_logs.get_logger_provider(), LoggerProvider):
            return
        if grpc:
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        else:
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        provider = LoggerProvider(resource=self._resource, shutdown_on_exit=False)
        with warnings.catch_warnings():
            # The handler's successor is in a beta package; this one is what DRUM uses, and its records look the same.
            warnings.simplefilter("ignore", DeprecationWarning)
            provider.add_log_record_processor(MaskingProcessor())
            provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
            handler: logging.Handler = LoggingHandler(level=logging.DEBUG, logger_provider=provider)
        handler.addFilter(_is_not_of_an_export)
        handler.addFilter(ContextFilter(self._worker))
        handler.addFilter(_flatten_context)
        logging.getLogger().addHandler(handler)
        _logs.set_logger_provider(provider)
        self._providers.append(provider)
        self._handler = handler


def _is_not_of_an_export(record: logging.LogRecord) -> bool:
    """What the SDK and its HTTP client log while they export would be the next export, without end. The client's
    records are known by the thread: the SDK's or one of ours."""
    return not (record.name.startswith("opentelemetry") or (record.threadName or "").lower().startswith("otel"))


def _flatten_context(record: logging.LogRecord) -> bool:
    """Older SDKs take no maps: the context as text, which looks the same in the console's format."""
    if not TAKES_ANY_VALUE:
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
                "Instrumentation for %s is not loaded, make sure appropriate packages are installed: %s",
                package.partition("-")[0],
                install(f"opentelemetry-instrumentation-{package}"),
            )
            continue
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument()


def _start(thread: threading.Thread) -> None:
    try:
        thread.start()
    except RuntimeError:  # Python 3.12.0 and 3.12.1 start none at exit: only the exporters' own timeouts hold there
        thread.run()


def _bounded(actions: list[Callable[[], Any]], timeout: float) -> bool:
    """Run ``actions`` side by side in daemon threads; False when one has not ended in ``timeout`` seconds."""
    threads = [threading.Thread(target=action, name="otel-flush", daemon=True) for action in actions]
    deadline = time.monotonic() + timeout
    for thread in threads:
        _start(thread)
    for thread in threads:
        if thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
