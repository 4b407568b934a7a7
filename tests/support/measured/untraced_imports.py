"""Import installed modules without coverage's tracer, which would double the time of each server's start.

Before Python 3.12 the tracer slows down every line, also of modules that are not measured, and most of a start is the
import of such modules. ``scripts/test`` puts this module into the tests' environment, beside a ``.pth`` file that
imports it in each process that is measured.
"""

from __future__ import annotations

import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType

_exec_module = SourceFileLoader.exec_module


def _traced_again() -> None:
    """Give the tracer a call to begin with, which makes it as quick as before."""


def exec_module(self: SourceFileLoader, module: ModuleType) -> None:
    tracer = sys.gettrace()
    if tracer is None or "site-packages" not in self.path:
        _exec_module(self, module)
        return
    sys.settrace(None)
    try:
        _exec_module(self, module)
    finally:
        sys.settrace(tracer)
        _traced_again()


SourceFileLoader.exec_module = exec_module  # type: ignore[assignment, method-assign]
