"""Options of the pool, and the first message that a worker gets."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.executor import ExecutorOptions
from drum_litestar.execution.pool.wire import Init

_output_log = logging.getLogger("drum_litestar.worker")


def log_output(worker: int, stream: str, line: str) -> None:
    """Default for :attr:`PoolOptions.on_output`: one log record for each line."""
    _output_log.info("[worker %d %s] %s", worker, stream, line)


def _ignore(failure: ModelLoadError) -> None: ...


class PoolOptions(ExecutorOptions, frozen=True, kw_only=True):
    """Options of a pool. Times are in seconds."""

    builder: str
    """``module:function`` that builds the predictor in each worker. It is called as ``function(spec, worker=number,
    context=worker_context, **builder_kwargs)``, and is the place for what a worker process needs besides (logging,
    telemetry)."""
    prefetch: bool = True
    """Send the first call in the queue to the worker while it still computes the one before. Only in a pool of one
    worker with one thread."""
    crash_loop_deaths: int = 5
    """Deaths before ready, within ``crash_loop_window``, after which the pool gives up."""
    crash_loop_window: float = 60.0
    backoff: float = 0.25
    """Wait after a death before ready; doubles with each death, up to ``backoff_limit``."""
    backoff_limit: float = 30.0
    load_backoff: float = 5.0
    """Wait once it is known that the model folder, which was loaded before, cannot be loaded any more; doubles with
    each failure, up to ``load_backoff_limit``. It is tried again for ever."""
    load_backoff_limit: float = 60.0
    kill_grace: float = 2.0
    """Between SIGTERM and SIGKILL."""
    stop_grace: float = 10.0
    """For the clean-up of a worker that was told to stop, before SIGTERM."""
    python: str | None = None
    """The workers' interpreter, checked; None is the server's own."""
    memory_headroom: Callable[[], int | None] | None = None
    """Bytes that may still be allocated; None when unknown. Decides whether a second copy of the model fits."""
    on_output: Callable[[int, str, str], None] = log_output
    """``(worker, "stdout" or "stderr", line)`` for each line that a worker prints."""
    on_fatal: Callable[[ModelLoadError], None] = _ignore
    """Called once when the pool gives up after its start (crash loop, death policy ``exit``)."""
    builder_kwargs: dict[str, Any] = msgspec.field(default_factory=dict)


def init_message(number: int, spec: msgspec.Struct, options: PoolOptions) -> Init:
    """The first message to worker ``number``."""
    kind = type(spec)
    return Init(
        worker=number,
        parent=os.getpid(),
        spec_type=f"{kind.__module__}:{kind.__qualname__}",
        spec=msgspec.msgpack.encode(spec),
        argv=tuple(getattr(spec, "argv", ())) or tuple(sys.argv),
        path=tuple(sys.path) if options.python is None else None,
        threads=options.workers.threads,
        least_threads=options.workers.least_threads,
        builder=options.builder,
        builder_kwargs=options.builder_kwargs,
    )
