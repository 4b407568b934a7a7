"""Import installed modules without coverage's tracer, which would double the time of each server's start.

Before Python 3.12 the tracer slows down every line, also of modules that are not measured, and most of a start is the
import of such modules. ``scripts/test`` puts this module into the tests' environment, beside a ``.pth`` file that
imports it in each process that is measured. Modules of model folders and of the project are imported as ever.
"""

from __future__ import annotations

import sys
from importlib import machinery
from types import ModuleType
from typing import Any


class UntracedLoader(machinery.SourceFileLoader):
    """Suspends the tracer while a module's code runs."""

    def exec_module(self, module: ModuleType) -> None:
        tracer = sys.gettrace()
        if tracer is None:
            super().exec_module(module)
            return
        sys.settrace(None)
        try:
            super().exec_module(module)
        finally:
            sys.settrace(tracer)
            _traced_again()


def _traced_again() -> None:
    """Give the tracer a call to begin with, which makes it as quick as before."""


_find = machinery.FileFinder.path_hook(
    (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
    (UntracedLoader, machinery.SOURCE_SUFFIXES),
    (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
)


def installed(path: str) -> Any:
    """The finder of an entry of ``sys.path`` that holds installed modules. Raises ImportError for others."""
    if "site-packages" not in path:
        raise ImportError(path)
    return _find(path)


sys.path_hooks.insert(0, installed)
sys.path_importer_cache.clear()
