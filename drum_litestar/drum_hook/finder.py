"""The import of ``datarobot_drum.drum.entry_point``, answered with a module that decides when it is called."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

ENTRY_POINT = "datarobot_drum.drum.entry_point"


def find(name: str, path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    """A spec for our stand-in, or None to let DRUM's own module load (the hook is off, or anything went wrong)."""
    try:
        from drum_litestar.drum_hook.decision import hook_enabled

        if not hook_enabled() or _real_spec(path) is None:
            return None
        return importlib.machinery.ModuleSpec(name, EntryPointLoader(path))
    except Exception as error:
        warnings.warn(f"drum-litestar's hook is out of order, DRUM's own server is used: {error!r}", stacklevel=2)
        return None


def _real_spec(path: Sequence[str] | None) -> importlib.machinery.ModuleSpec | None:
    return importlib.machinery.PathFinder.find_spec(ENTRY_POINT, path)


class EntryPointLoader(importlib.abc.Loader):
    """Loads a module with DRUM's two entry functions; every other name comes from DRUM's module, when asked for.

    DRUM's module is not touched before that, because importing it fails beside Pydantic 1.
    """

    def __init__(self, path: Sequence[str] | None) -> None:
        self._path = path
        self._real: ModuleType | None = None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        def __getattr__(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(self.real_module(), name)

        def entry(name: str) -> Any:
            def run(*args: Any, **kwargs: Any) -> Any:
                return self._run(name, *args, **kwargs)

            run.__name__ = run.__qualname__ = name
            run.__doc__ = "Serve with drum-litestar when the server type asks for it, else run DRUM's own function."
            return run

        module.__dict__.update(__getattr__=__getattr__, run_drum_server=entry("run_drum_server"), main=entry("main"))

    def real_module(self) -> ModuleType:
        """DRUM's own module, loaded once."""
        if self._real is None:
            spec = _real_spec(self._path)
            if spec is None or spec.loader is None:
                raise ModuleNotFoundError(f"No module named {ENTRY_POINT!r}", name=ENTRY_POINT)
            module = importlib.util.module_from_spec(spec)
            stand_in = sys.modules.get(ENTRY_POINT)
            sys.modules[ENTRY_POINT] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                if stand_in is not None:
                    sys.modules[ENTRY_POINT] = stand_in
                raise
            self._real = module
        return self._real

    def _run(self, name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            from drum_litestar.drum_hook.decision import decide

            choice = decide(sys.argv[1:])
        except Exception as error:
            print(f"drum-litestar's hook is out of order, DRUM's own server is used: {error!r}", file=sys.stderr)
            choice = None
        if choice is None or not choice.ours:
            if choice is not None and choice.warning:
                print(choice.warning, file=sys.stderr)
            return getattr(self.real_module(), name)(*args, **kwargs)
        if choice.error:
            print(choice.error, file=sys.stderr)
            return 1
        from drum_litestar.launcher.cli import main

        return main(sys.argv[1:], prog="drum")
