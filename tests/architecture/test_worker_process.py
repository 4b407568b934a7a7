"""What a model worker may import runs in the oldest interpreter that it is promised: Python 3.8."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from architecture.test_imports import IMPORTS, PACKAGE, ROOT

ENTRANCES = ("execution.pool.worker_main", "observability.worker_setup", "predictors.spec", "predictors.native.standin")
"""What the worker's boot line, the pool's ``builder`` and the spec import."""

OLDEST = (3, 8)


def path_of(module: str) -> Path:
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return file if file.exists() else file.with_suffix("") / "__init__.py"


def worker_modules() -> list[str]:
    """Modules of ours that a worker can import, at any time."""
    found: set[str] = set()
    waiting = [f"{PACKAGE}.{name}" for name in ENTRANCES]
    while waiting:
        name = waiting.pop()
        if name not in IMPORTS:
            name = name.rpartition(".")[0]  # a name inside a module
        if name in IMPORTS and name not in found:
            found.add(name)
            waiting += [name.rpartition(".")[0], *(each.module for each in IMPORTS[name] if not each.typing_only)]
    return sorted(found)


WORKER_MODULES = worker_modules()


def test_they_are_found() -> None:
    assert f"{PACKAGE}.predictors.native.native_predictor" in WORKER_MODULES
    assert not [name for name in WORKER_MODULES if name.startswith((f"{PACKAGE}.http", f"{PACKAGE}.launcher"))]


@pytest.mark.parametrize("module", WORKER_MODULES)
def test_the_grammar_is_python_3_8s(module: str) -> None:
    ast.parse(path_of(module).read_text(), feature_version=OLDEST)


@pytest.mark.parametrize("module", WORKER_MODULES)
def test_the_linter_knows(module: str) -> None:
    """Else it would ask for a newer Python's ways."""
    path = str(path_of(module).relative_to(ROOT))
    patterns = re.findall(r'^"(\S+)" = "py38"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert any(path == each or (each.endswith("**") and path.startswith(each[:-2])) for each in patterns)
