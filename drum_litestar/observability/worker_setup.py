"""What a model worker needs besides its predictor: logging, prints and telemetry."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

from drum_litestar.observability.logs.setup import configure_worker_logging
from drum_litestar.pip_command import install
from drum_litestar.predictors.build import build_predictor
from drum_litestar.predictors.protocol import Predictor, TargetType
from drum_litestar.predictors.spec import PredictorSpec

_log = logging.getLogger("drum.otel")


def build_worker_predictor(spec: PredictorSpec, *, worker: int, context: object = None, **options: Any) -> Predictor:
    """Set up this worker process and build its predictor: the pool's ``builder``.

    ``options`` are those of :func:`set_up_worker`.
    """
    traced = set_up_worker(worker, spec.target_type, **options)
    return traced(build_predictor(spec))


def set_up_worker(
    worker: int,
    target_type: TargetType | None,
    *,
    log_level: str = "warning",
    json_lines: bool = False,
    all_frames: bool = False,
    otel_disabled: bool = False,
    trace_requests: bool = False,
    trace_steps: bool = False,
    write_bytecode: bool = True,
) -> Callable[[Predictor], Predictor]:
    """Configure logging and telemetry of this worker process. The returned function makes a predictor trace its calls.

    ``log_level`` is a word of ``--logging-level``; ``all_frames``: tracebacks keep the server's own frames;
    ``otel_disabled`` is the runtime parameter ``OTEL_SDK_DISABLED``; ``trace_requests``: the HTTP process exports
    spans; ``trace_steps``: so does this one, of each step; ``write_bytecode`` is off where sources change quickly:
    Python takes a ``.pyc`` file for that of any source of the same second and size. Telemetry is flushed when the
    process exits, also after SIGTERM; only SIGKILL loses what is queued. An interpreter of the model's own may lack
    the OpenTelemetry API: then nothing is traced here.
    """
    sys.dont_write_bytecode |= not write_bytecode
    configure_worker_logging(log_level, worker=worker, json_lines=json_lines, all_frames=all_frames)
    try:
        from drum_litestar.observability.providers import configure_telemetry, instrument_clients
    except ImportError as error:
        if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip():
            _log.warning(
                "The model's process sends no telemetry (%s). Install it with: %s",
                error,
                install("opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"),
            )
        return lambda predictor: predictor
    telemetry = configure_telemetry(sdk_disabled=otel_disabled, worker=worker)
    if telemetry.enabled and target_type is not None and target_type.generates_text:
        instrument_clients()
    return lambda predictor: traced_predictor(predictor, trace_requests=trace_requests, trace_steps=trace_steps)


def traced_predictor(predictor: Predictor, *, trace_requests: bool, trace_steps: bool) -> Predictor:
    """Make ``predictor`` trace its calls in this process. The options are those of :func:`set_up_worker`."""
    from opentelemetry import trace

    from drum_litestar.observability.tracing.spans import TRACER
    from drum_litestar.observability.tracing.traced_predictor import traced

    # the global tracer follows the provider that custom.py may still set
    return traced(predictor, trace.get_tracer(TRACER), reports=trace_requests, steps=trace_steps)
