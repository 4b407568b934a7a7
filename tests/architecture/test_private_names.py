"""Names of other packages that are not theirs to promise: one table of all that are used, each with its reason.

A name is private when it, or a part of its module's path, begins with ``_``; and so is a module that its package does
not document. Seen are imports, attributes (``obj._x``, also by ``getattr`` and its kin), and names that classes of
ours take over from a foreign base. What is looked up in other ways is not.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from architecture.test_imports import IMPORTS, PACKAGE, ROOT, module_name

UNDOCUMENTED = ("uvicorn.protocols",)
"""Modules that their package does not document, however they are called."""
PUBLIC = frozenset({"_replace", "_asdict", "_fields", "_make"})
"""Documented names of named tuples."""


class Use(NamedTuple):
    """Why a private name is used, and what is known of the day when it is gone."""

    reason: str
    fallback: str = ""
    """The test that shows that all works without it, or notices at once that it does not."""
    documented: bool = False


LOGS = "test_an_sdk_without_the_means_to_send_logs_sends_the_rest"

USED = {
    # the standard library: documented, whatever the underscore says
    "os._exit": Use("ends the process at once, without the handlers that could hang", documented=True),
    "sys._xoptions": Use("CPython's: the -X options that a worker inherits", documented=True),
    # Litestar: bounded in pyproject.toml
    "litestar.app.Litestar._get_default_plugins": Use(
        "the only way to have none of the plugins that import pydantic, and fail with a broken one"
    ),
    # pandas
    "pandas.io.json._json": Use(
        "its C encoder without the Series around it: 8 times faster for one row",
        "test_the_public_encoder_gives_the_same",
    ),
    "pandas._libs.parsers": Use(
        "the C parser inside read_csv, without read_csv around it: 5 times faster for one row",
        "test_a_parser_that_misreads_is_not_used",
    ),
    "._engine": Use("the options that read_csv gives to its C parser", "test_a_parser_that_misreads_is_not_used"),
    # scikit-learn
    "._sklearn_output_config": Use(
        "a step that was told to give frames is left to scikit-learn; without the name no step was told",
        "test_models_that_need_the_frame",
    ),
    # datarobot_drum, or our stand-in for it
    "._secrets": Use(
        "DRUM's own loader sets it: the task reads its secrets from there",
        "test_secrets_are_typed_and_masked",
    ),
    # OpenTelemetry's logs, which have no public module yet
    "opentelemetry._logs": Use("the global provider of logs", LOGS),
    "opentelemetry.sdk._logs": Use("provider, processor and handler of logs", LOGS),
    "opentelemetry.sdk._logs.export": Use("sends logs in batches", LOGS),
    "opentelemetry.exporter.otlp.proto.http._log_exporter": Use("sends logs by OTLP/HTTP", LOGS),
    "opentelemetry.exporter.otlp.proto.grpc._log_exporter": Use("sends logs by OTLP/gRPC", LOGS),
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


@functools.cache
def trees() -> dict[str, ast.Module]:
    paths = sorted((ROOT / PACKAGE).rglob("*.py"))
    return {module_name(path): ast.parse(path.read_text()) for path in paths}


def is_module(name: str) -> bool:
    """What belongs to a package that is not installed here is taken for a module."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return True


def imported() -> Iterator[str]:
    """Private modules, and private names of modules."""
    for imports in IMPORTS.values():
        for each in imports:
            parts = each.module.split(".")
            if parts[0] in (PACKAGE, "__future__"):
                continue
            first = next((number for number, part in enumerate(parts) if is_private(part)), None)
            if first is not None:
                of_module = len(parts) > first + 1 and is_module(".".join(parts[: first + 1]))
                yield ".".join(parts[:-1] if of_module else parts)
            elif each.module.startswith(UNDOCUMENTED):
                yield ".".join(parts[:-1])


def attributes(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """``obj`` and ``_x`` of each ``obj._x``, ``getattr(obj, "_x")`` etc."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node.value), node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr", "setattr", "delattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant):
                yield ast.unparse(node.args[0]), str(name.value)


OWNERS = ("self", "cls", "super()")


def members(node: ast.ClassDef) -> Iterator[str]:
    """What the body of a class defines."""
    for child in node.body:
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield child.name
        elif isinstance(child, (ast.Assign, ast.AnnAssign)):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def of_others() -> Iterator[str]:
    """Private attributes of anything but a class's own instance, unless a class of the same module defines them."""
    for tree in trees().values():
        modules = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        own = {name for owner, name in attributes(tree) if owner in OWNERS}
        own |= {name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for name in members(node)}
        for owner, name in attributes(tree):
            if is_private(name) and owner not in OWNERS and (owner in modules or name not in own):
                yield f"{owner}.{name}" if owner in modules else f".{name}"


def classes() -> Iterator[tuple[type[Any], ast.ClassDef]]:
    """All classes of the package, with their source."""
    for name, tree in trees().items():
        if ".standin" in name or name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                yield getattr(module, node.name), node


def inherited() -> Iterator[str]:
    """Private names that a class of ours uses or defines and that a foreign base knows: as a member, or in its code."""
    for cls, node in classes():
        used = {name for owner, name in attributes(ast.Module([node], [])) if owner in OWNERS}
        private = {name for name in used.union(members(node)) if is_private(name)}
        for base in cls.__mro__ if private else ():
            root = base.__module__.partition(".")[0]
            if root == PACKAGE or root in sys.stdlib_module_names or root == "msgspec":
                continue
            code = inspect.getsource(base)
            for name in private:
                if name in vars(base) or re.search(rf"\bself\.{name}\b", code):
                    yield f"{base.__module__}.{base.__qualname__}.{name}"


def test_the_table_is_complete() -> None:
    found = {*imported(), *of_others(), *inherited()}
    assert sorted(found - USED.keys()) == [], "used, and not in the table"
    assert sorted(USED.keys() - found) == [], "in the table, and not used any more"


TESTS = "".join(path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py")) if path != Path(__file__))


@pytest.mark.parametrize("name", USED)
def test_a_name_has_a_bound_or_a_tested_fallback(name: str) -> None:
    use = USED[name]
    if use.fallback:
        assert f"def {use.fallback}(" in TESTS
    elif not use.documented:
        package = name.partition(".")[0]
        requirements = re.findall(rf'"{package}(?:\[\w+\])?>=[^"]*"', (ROOT / "pyproject.toml").read_text())
        assert requirements
        assert all(re.search(r",<\d+\.\d+\"", each) for each in requirements), requirements
