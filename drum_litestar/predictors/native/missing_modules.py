"""What to do when a model needs modules that its interpreter does not have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Dict, List

from drum_litestar.pip_command import install_modules
from drum_litestar.predictors.native.frameworks.base import installed
from drum_litestar.predictors.native.frameworks.pickle_contents import is_joblib, needed_modules

_NO_MODULES = frozenset({"", "__main__", "__builtin__", "copy_reg", "exceptions", "datarobot_drum"})
"""Names in pickles, also of Python 2, that nobody can install."""
_NEEDED_BESIDE = {"xgboost.sklearn": "sklearn", "lightgbm.sklearn": "sklearn"}
"""Modules whose objects are estimators only if another one is there."""


def missing_tops(modules: Iterable[str]) -> List[str]:
    """The top-level names of ``modules`` that cannot be found, in their order. Imports nothing."""
    tops: Dict[str, None] = {}
    for module in modules:
        tops.setdefault(module.partition(".")[0])
        if module in _NEEDED_BESIDE:
            tops.setdefault(_NEEDED_BESIDE[module])
    return [name for name in tops if name not in _NO_MODULES and not installed(name)]


def pickle_remedy(path: Path, error: BaseException | None = None) -> str:
    """What the interpreter lacks for the pickle in ``path``; ``error``: what loading it raised. Empty if nothing."""
    modules = needed_modules(path)
    lacking = missing_tops(modules)
    if not installed("joblib") and "joblib" not in lacking and is_joblib(path):
        lacking.append("joblib")
    if isinstance(error, ModuleNotFoundError) and error.name:
        lacking += [name for name in missing_tops([error.name]) if name not in lacking]
    if lacking:
        return _not_installed(path.name, lacking)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return import_remedy(error, path.name)
    if isinstance(error, AttributeError) and "__main__" in str(error):
        return (
            f"{path.name} holds an object whose class or function was defined in the script or notebook that saved it. "
            "Move that definition to a module, put the module into the model folder, and save the model again."
        )
    return ""


def import_remedy(error: ImportError, who: str) -> str:
    """What to do about the module whose import failed in ``who``; empty where only the error's own text can tell."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    lacking = missing_tops([error.name])
    if lacking:
        return _not_installed(who, lacking)
    top = error.name.partition(".")[0]
    if top == error.name or top in _NO_MODULES:
        return ""
    return (
        f"{who} needs {error.name}: the installed '{top}' has no such module, so the model wants another version of it."
    )


def _not_installed(who: str, modules: List[str]) -> str:
    quoted = [f"'{name}'" for name in modules]
    if len(quoted) == 1:
        return f"{who} needs the module {quoted[0]}, which is not installed. {install_modules(modules)}"
    names = f"{', '.join(quoted[:-1])} and {quoted[-1]}"
    return f"{who} needs the modules {names}, which are not installed. {install_modules(modules)}"
