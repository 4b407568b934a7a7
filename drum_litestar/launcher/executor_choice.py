"""Construction of the executor that the settings choose."""

from __future__ import annotations

from collections.abc import Callable

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.executor import Executor, ExecutorOptions
from drum_litestar.execution.observer import ExecutorObserver
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.predictors.protocol import Predictor

WORKER_BUILDER = "drum_litestar.observability.worker_setup:build_worker_predictor"


def make_executor(
    plan: LaunchPlan,
    *,
    observer: ExecutorObserver,
    tracing: Tracing,
    forward_output: Callable[..., None],
    on_fatal: Callable[[ModelLoadError], None],
) -> Executor:
    """Construct the executor that ``--executor`` names, without starting it.

    ``forward_output(worker, stream, line)`` is called for each line that a worker process prints; ``on_fatal`` when the
    pool gives up after it had been ready.
    """
    settings = plan.settings
    trace_options = {"trace_requests": tracing.enabled, "trace_steps": settings.traces.steps}
    if settings.model.executor == "inline":
        from drum_litestar.execution.inline import InlineExecutor
        from drum_litestar.observability.worker_setup import traced_predictor
        from drum_litestar.predictors.build import build_predictor

        return InlineExecutor(
            lambda: traced_predictor(build_predictor(plan.spec), **trace_options),
            ExecutorOptions(
                workers=settings.workers,
                admission=settings.admission,
                timeouts=settings.timeouts,
                error_server=plan.with_error_server,
                observer=observer,
            ),
        )
    from drum_litestar.execution.pool.pool import PoolExecutor
    from drum_litestar.execution.pool.pool_options import PoolOptions
    from drum_litestar.observability.metrics.resources import memory_headroom

    options = PoolOptions(
        workers=settings.workers,
        admission=settings.admission,
        timeouts=settings.timeouts,
        error_server=plan.with_error_server,
        observer=observer,
        python=plan.worker_python.executable if plan.worker_python else None,
        memory_headroom=memory_headroom,
        on_output=forward_output,
        on_fatal=on_fatal,
        builder=WORKER_BUILDER,
        builder_kwargs={
            "log_level": plan.logging_level,
            "json_lines": settings.log.json,
            "all_frames": plan.show_stacktrace,
            "otel_disabled": plan.otel_disabled,
            "write_bytecode": not settings.model.reload,
            **trace_options,
        },
    )
    return PoolExecutor(plan.spec, options)


def failed_executor(failure: ModelLoadError) -> Executor:
    """Construct an executor whose model fails to load with ``failure``, for the error server of a folder that no
    predictor can serve."""
    from drum_litestar.execution.inline import InlineExecutor

    def fail() -> Predictor:
        raise failure

    return InlineExecutor(fail, ExecutorOptions(error_server=True))
