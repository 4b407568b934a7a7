"""Logging of the HTTP process and of model workers (contract, 5.8).

The HTTP process formats in the thread that logs and writes in another one, so that a stalled terminal or pipe never
stops the event loop. A worker writes at once: its last line before a crash is the one that matters.
"""

from __future__ import annotations

import atexit
import functools
import logging
import sys
from collections.abc import Callable
from typing import Final, Protocol, TextIO

from drum_litestar.observability.logs.log_format import (
    ACCESS_LOGGER,
    LIFECYCLE_LOGGER,
    OTEL_LOGGER,
    ContextFilter,
    JsonFormatter,
    TextFormatter,
)
from drum_litestar.observability.logs.log_sink import LineSink, SinkHandler
from drum_litestar.observability.logs.prints import LineStream, forwarded, json_print, text_line
from drum_litestar.observability.logs.terminal import Terminal
from drum_litestar.tracebacks import show_all_frames

LEVELS: Final = {
    "all": logging.NOTSET,
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
"""Values of ``--logging-level``, and ``trace`` of ``DRUM_UVICORN_LOG_LEVEL``."""


class WorkerOutput(Protocol):
    """Where the lines of model workers go, and the progress of a load."""

    @property
    def show_status(self) -> Callable[[str], None] | None:
        """Shows a text as the last line of the terminal until the next call, empty for none. None where stderr is no
        terminal, or lines are JSON."""

    def forward(self, worker: int, stream: str, line: str) -> None:
        """Write a line that ``worker`` wrote to its ``stdout`` or ``stderr``. Does not block."""


class LogPipeline(WorkerOutput):
    """The HTTP process's running log output: forwards lines of workers, shows a status line, closes."""

    def __init__(self, sink: LineSink, stdout: TextIO, stderr: TextIO, *, json_lines: bool) -> None:
        self._sink = sink
        self._streams = {"stdout": stdout, "stderr": stderr}
        self._json_lines = json_lines

    @property
    def show_status(self) -> Callable[[str], None] | None:
        return self._sink.show_status if self._sink.has_terminal else None

    def forward(self, worker: int, stream: str, line: str) -> None:
        self._sink.put(self._streams[stream], forwarded(stream, line, worker, json_lines=self._json_lines))

    def close(self) -> None:
        """Write what is queued. Later lines are written at once. Idempotent."""
        atexit.unregister(self.close)
        self._sink.close()


def configure_logging(
    level: str = "warning",
    *,
    json_lines: bool = False,
    server_level: str = "warning",
    all_frames: bool = False,
    queue_size: int = 10_000,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> LogPipeline:
    """Set up the HTTP process's logging, replacing any handlers.

    ``level`` is a value of ``--logging-level``; ``server_level`` (``DRUM_UVICORN_LOG_LEVEL``) is uvicorn's own, which
    like gunicorn's does not depend on it. ``all_frames``: tracebacks keep the server's own frames, as at the level
    ``debug``. The access log goes to ``stdout``, at any level, everything else to ``stderr``, the records of the life
    cycle at any level too. Raises KeyError for a level that is not in :data:`LEVELS`.
    """
    root_level, uvicorn_level = LEVELS[level.lower()], LEVELS[server_level.lower()]
    show_all_frames(all_frames or root_level <= logging.DEBUG)
    out, err = stdout or sys.stdout, stderr or sys.stderr
    terminal = None if json_lines else Terminal.behind(err)
    sink = LineSink(queue_size, terminal)
    _install(logging.getLogger(), SinkHandler(sink, err), root_level, _formatter(json_lines, None, terminal))
    access = logging.getLogger(ACCESS_LOGGER)
    access.propagate = False
    _install(access, SinkHandler(sink, out), logging.INFO, _formatter(json_lines, None))
    logging.getLogger(LIFECYCLE_LOGGER).setLevel(logging.INFO)
    if root_level == logging.WARNING:  # where spans go is worth a line at the default level
        logging.getLogger(OTEL_LOGGER).setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(uvicorn_level)
    pipeline = LogPipeline(sink, out, err, json_lines=json_lines)
    atexit.register(pipeline.close)
    return pipeline


def configure_worker_logging(
    level: str = "warning", *, worker: int, json_lines: bool = False, all_frames: bool = False
) -> None:
    """Set up a model worker's logging and prints: records and printed lines name the request and ``worker``.

    ``all_frames`` as in :func:`configure_logging`.

    ``sys.stdout`` and ``sys.stderr`` are replaced, so call it before user code is imported. Lines go to the streams
    that the process was started with; :meth:`LogPipeline.forward` passes them on if those are pipes.
    """
    show_all_frames(all_frames or LEVELS[level.lower()] <= logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    _install(logging.getLogger(), handler, LEVELS[level.lower()], _formatter(json_lines, worker), worker)
    for name in ("stdout", "stderr"):
        render = functools.partial(json_print, name) if json_lines else text_line
        stream = LineStream(getattr(sys, name), functools.partial(render, worker=worker))
        atexit.register(stream.drain)
        setattr(sys, name, stream)


def _formatter(json_lines: bool, worker: int | None, terminal: Terminal | None = None) -> logging.Formatter:
    return JsonFormatter(worker) if json_lines else TextFormatter(terminal)


def _install(
    logger: logging.Logger,
    handler: logging.Handler,
    level: int,
    formatter: logging.Formatter,
    worker: int | None = None,
) -> None:
    handler.setFormatter(formatter)
    handler.addFilter(ContextFilter(worker))
    logger.handlers[:] = [handler]
    logger.setLevel(level)
