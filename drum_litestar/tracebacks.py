"""Tracebacks for people who wrote a model: their frames, without the server's and the import system's around them.

Python prints the outermost frame first, and a hook is called through some ten frames of this package and of the
libraries that run it. Nothing is cut from an exception that has its origin in this package itself.
"""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path
from typing import Final

_PACKAGE: Final = "drum_litestar"
_OWN: Final = str(Path(__file__).parent / "_")[:-1]
"""The package's folder, with its final separator."""
_IMPORTING: Final = re.compile(r"<frozen (importlib|runpy|zipimport)|.*[\\/](importlib[\\/][^\\/]+|runpy)\.py$")
_LIBRARIES: Final = tuple({path for name, path in sysconfig.get_paths().items() if name.endswith(("lib", "stdlib"))})
_RUNNING: Final = re.compile(r".*[\\/](asyncio|concurrent)[\\/].*\.py$|.*[\\/](contextlib|contextvars|threading)\.py$")
"""Libraries between a frame of this package and the hook that it calls."""
_EMPTY: Final = re.compile(r"^Traceback \(most recent call last\):\n(?! )", re.MULTILINE)
"""The heading of a traceback without frames."""

_all = False


def show_all_frames(value: bool) -> None:
    """Whether tracebacks of this process keep all frames: at the log level ``debug``, or with ``--show-stacktrace``."""
    global _all
    _all = value


def format_exception(error: BaseException) -> str:
    """``error`` with the exceptions that caused it, as Python prints them, without the frames of the server.

    This package's own exceptions around a cause are left out too: what is logged names them. Empty where nothing is
    left.
    """
    if _all:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip("\n")
    reported = False
    while _is_own(error) and error.__cause__ is not None:
        error, reported = error.__cause__, True
    outermost = traceback.TracebackException(type(error), error, error.__traceback__)
    described: traceback.TracebackException | None = outermost
    while described is not None:
        described.stack = traceback.StackSummary.from_list(_cut(described.stack, reported))
        described = described.__cause__ or (None if described.__suppress_context__ else described.__context__)
    if _is_own(error) and not outermost.stack and (error.__context__ is None or error.__suppress_context__):
        return ""
    return _EMPTY.sub("", "".join(outermost.format())).rstrip("\n")


def _is_own(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == _PACKAGE


def _cut(stack: list[traceback.FrameSummary], reported: bool) -> list[traceback.FrameSummary]:
    """The frames that a model's author should see. A library's begin with the line of the server that called it.

    ``reported``: an exception of this package has it as its cause, so that it is not an error of the server's.
    """
    if not reported and stack and _is_server(stack[-1]) and not (stack[-1].line or "").startswith("raise"):
        return list(stack)
    kept: list[traceback.FrameSummary] = []
    caller: traceback.FrameSummary | None = None
    for frame in stack:
        if _is_server(frame):
            caller = frame
        elif not (_IMPORTING.match(frame.filename) or (caller is not None and _RUNNING.match(frame.filename))):
            if caller is not None and not kept and _is_library(frame):
                kept.append(caller)
            kept.append(frame)
            caller = None
    if any(not _is_library(frame) and not _is_server(frame) for frame in kept):
        return [frame for frame in kept if not _is_server(frame)]
    return kept


def _is_server(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(_OWN)


def _is_library(frame: traceback.FrameSummary) -> bool:
    name = frame.filename
    return (
        name.startswith(_LIBRARIES)
        or "site-packages" in name
        or "dist-packages" in name
        or name.endswith((".pyx", ".pxi"))  # compiled by Cython
    )
