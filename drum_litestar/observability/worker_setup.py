"""What a model worker needs besides its predictor: logging, prints and telemetry."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final, Protocol

from drum_litestar.observability.logs.setup import configure_worker_logging
from drum_litestar.predictors.protocol import Predictor, TargetType

_log = logging.getLogger("drum.otel")

_TEXT_TARGETS: Final = frozenset({TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW})


class PredictorSource(Protocol):
    """``drum_litestar.predictors.spec.PredictorSpec``, or anything like it."""

    @property
    def target_type(self) -> TargetType | None: ...

    def build(self) -> Predictor: ...


def build_predictor(
    spec: PredictorSource,
    *,
    worker: int,
    context: object = None,
    log_level: str = "warning",
    json_lines: bool = False,
    otel_disabled: bool = False,
) -> Predictor:
    """Set up this worker process and build its predictor: the pool's ``builder``.

    ``log_level`` is a word of ``--logging-level``; ``otel_disabled`` the runtime parameter ``OTEL_SDK_DISABLED``.
    Telemetry is flushed when the process exits, also after SIGTERM; only SIGKILL loses what is queued. An interpreter
    of the model's own may be without the OpenTelemetry API: then the model's process leaves no spans of its own.
    """
    configure_worker_logging(log_level, worker=worker, json_lines=json_lines)
    try:
        from drum_litestar.observability.tracing.providers import configure_telemetry, instrument_clients
        from drum_litestar.observability.tracing.traced_predictor import traced
    except ImportError as error:
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip():
            _log.warning(
                "The model's process sends no telemetry (%s). Install it with: %s -m pip install opentelemetry-sdk "
                "opentelemetry-exporter-otlp-proto-http",
                error,
                sys.executable,
            )
        return spec.build()
    telemetry = configure_telemetry(sdk_disabled=otel_disabled, worker=worker)
    if telemetry.enabled and spec.target_type in _TEXT_TARGETS:
        instrument_clients()
    return traced(spec.build(), telemetry.tracing)
