"""Import hook for ``datarobot_drum.drum.entry_point``: its entry function decides which server runs."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from drum_litestar.drum_hook.decision import Decision

ENTRY_POINT = "datarobot_drum.drum.entry_point"
ENTRY_FUNCTION = "run_drum_server"
"""The function that the ``drum`` script calls."""


def find(name: str, path: Sequence[str] | None, *, default: bool = False) -> ModuleSpec | None:
    """Find the spec of the replacement module; None when the hook is off or DRUM has no such module.

    ``default``: this backend is the default of ``drum server`` in this environment.
    """
    from drum_litestar.drum_hook.decision import hook_enabled

    real = PathFinder.find_spec(name, path) if hook_enabled() else None
    if real is None:
        return None
    return importlib.util.spec_from_file_location(name, real.origin, loader=EntryPointLoader(real, default))


class EntryPointLoader(importlib.abc.Loader):
    """Loader of a module with DRUM's entry function; other names are loaded from DRUM's own module on first access.

    DRUM's module is not imported earlier, because its import fails beside Pydantic 1.
    """

    def __init__(self, spec: ModuleSpec, default: bool) -> None:
        self._spec = spec
        self._default = default
        self._real: ModuleType | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update({"__getattr__": self._attribute, ENTRY_FUNCTION: self._run})

    def get_code(self, fullname: str) -> CodeType | None:
        """Code of DRUM's module, for ``python -m datarobot_drum.drum.entry_point``."""
        code: CodeType | None = getattr(self._spec.loader, "get_code")(fullname)  # noqa: B009 - not every loader has it
        return code

    def real_module(self) -> ModuleType:
        """Load DRUM's own module, once, and put it into ``sys.modules``."""
        if self._real is None:
            replacement = sys.modules.get(ENTRY_POINT)
            module = importlib.util.module_from_spec(self._spec)
            sys.modules[ENTRY_POINT] = module
            try:
                if self._spec.loader is None:
                    raise ModuleNotFoundError(f"No module named {ENTRY_POINT!r}", name=ENTRY_POINT)
                self._spec.loader.exec_module(module)
            except BaseException:
                if replacement is not None:
                    sys.modules[ENTRY_POINT] = replacement
                raise
            package, _, own_name = ENTRY_POINT.rpartition(".")
            setattr(sys.modules[package], own_name, module)
            self._real = module
        return self._real

    def _attribute(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {ENTRY_POINT!r} has no attribute {name!r}")
        return getattr(self.real_module(), name)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """Serve with drum-litestar when the server type selects it, else run DRUM's own function.

        The notice is printed before DRUM's module is imported, since that may fail.
        """
        plan = _plan(sys.argv[1:], self._default)
        if plan.notice:
            with contextlib.suppress(OSError, ValueError):  # DRUM also runs without a standard error
                print(plan.notice, file=sys.stderr, flush=True)
        if plan.serve is not None:
            return plan.serve(sys.argv[1:], prog="drum")
        try:
            function = getattr(self.real_module(), ENTRY_FUNCTION)
        except Exception:
            if hint := _hint(sys.argv[1:]):
                # Printed after the interpreter's traceback; the exit code is the interpreter's too.
                atexit.register(print, hint, file=sys.stderr)
            raise
        return function(*args, **kwargs)


class _Plan(NamedTuple):
    """``serve`` is the entry of this package's command line; None runs DRUM's own server."""

    serve: Callable[..., int] | None = None
    notice: str = ""


def _plan(arguments: Sequence[str], default: bool) -> _Plan:
    """Decide which server runs. Never raises: on any error of the hook or this server, DRUM's own is used."""
    try:
        from drum_litestar.drum_hook.decision import decide

        decision: Decision = decide(arguments, default=default)
        return _Plan(_server() if decision.litestar else None, decision.notice)
    except Exception as error:
        return _Plan(
            notice=f"WARNING: drum-litestar cannot run, DRUM's own server is used: {type(error).__name__}: {error}"
        )


def _server() -> Callable[..., int]:
    """Import the whole server and return the command line's entry.

    Raises the import's error: a broken installation then fails while DRUM's own server can still run.
    """
    importlib.import_module("drum_litestar.launcher.bootstrap")
    from drum_litestar.cli.main import main

    return main


def _hint(arguments: Sequence[str]) -> str:
    """Hint for a DRUM that cannot be imported, or why this backend cannot run either. Never raises."""
    try:
        from drum_litestar.drum_hook.decision import remedy

        text = remedy(arguments)
        if text:
            _server()
    except Exception as error:
        return f"drum-litestar cannot run here either: {type(error).__name__}: {error}"
    return text
