"""Logs of a replica, in Ray Serve's: its files, format and request ids."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Final

from drum_litestar.observability.logs.log_format import (
    ACCESS_LOGGER,
    LIFECYCLE_LOGGER,
    OTEL_LOGGER,
    escape,
    exception_text,
)
from drum_litestar.observability.logs.setup import LEVELS, WorkerOutput
from drum_litestar.settings.masking import masked
from drum_litestar.tracebacks import show_all_frames

SERVE_LOGGER: Final = "ray.serve"
"""The logger that Ray documents for deployments; its handlers write the replica's log."""
_WORKERS: Final = "drum_litestar.worker"
_PLAIN: Final = logging.Formatter()


class ServeHandler(logging.Handler):
    """Hands records to the handlers of Ray Serve's logger. Ray's own records do not come here."""

    def emit(self, record: logging.LogRecord) -> None:
        shown = _shown(record)
        for handler in logging.getLogger(SERVE_LOGGER).handlers:
            if shown.levelno >= handler.level:
                handler.handle(shown)


def _shown(record: logging.LogRecord) -> logging.LogRecord:
    """A copy for Ray's formatters, which neither mask secrets nor escape what a client may have sent."""
    shown = copy.copy(record)
    shown.msg, shown.args = escape(masked(record.getMessage())), None
    detail = masked(exception_text(_PLAIN, record))
    shown.exc_text = "\n".join(map(escape, detail.split("\n"))) or None
    # Ray's JSON has the text only of a record with an exception; one of another process came as text.
    shown.exc_info = (None, None, None) if detail else None
    shown.stack_info = None
    shown.__dict__.pop("traceback", None)
    return shown


class ServeLogs(WorkerOutput):
    """Connects the root logger, and the lines of model workers, with Ray Serve's log.

    ``level`` is a value of ``--logging-level``. Requests are in Ray's own access log.
    """

    def __init__(self, level: str, *, all_frames: bool = False) -> None:
        show_all_frames(all_frames or LEVELS[level] <= logging.DEBUG)
        self._handler = ServeHandler()
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(LEVELS[level])
        logging.getLogger(ACCESS_LOGGER).setLevel(logging.WARNING)
        for name in (LIFECYCLE_LOGGER, OTEL_LOGGER):
            logging.getLogger(name).setLevel(min(logging.INFO, LEVELS[level] or logging.INFO))

    @property
    def show_status(self) -> Callable[[str], None] | None:
        return None

    def forward(self, worker: int, stream: str, line: str) -> None:
        """Log a line of a model worker, which has decided itself what is worth one."""
        record = logging.LogRecord(_WORKERS, logging.INFO, "", 0, "[worker %d %s] %s", (worker, stream, line), None)
        self._handler.handle(record)

    def close(self) -> None:
        """Disconnect the root logger."""
        logging.getLogger().removeHandler(self._handler)
