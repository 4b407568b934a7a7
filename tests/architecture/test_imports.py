"""The import rules of the architecture, read from the source: nothing is imported to check them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "drum_litestar"


@dataclass(frozen=True)
class Import:
    """One module that a file names in an import statement; ``typing_only`` is never executed."""

    module: str
    line: int
    typing_only: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_typing_guard(node: ast.If) -> bool:
    return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imports_in(tree: ast.AST, name: str, is_package: bool, typing_only: bool = False) -> Iterator[Import]:
    """Imports anywhere below ``tree``, also inside functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, typing_only)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")
                kept = parents[: len(parents) - node.level + is_package]
                base = ".".join([*kept, *filter(None, [node.module])])
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, typing_only)
        elif isinstance(node, ast.If) and is_typing_guard(node):
            for child in node.body:
                wrapper = ast.Module([child], [])
                yield from imports_in(wrapper, name, is_package, True)
            for child in node.orelse:
                yield from imports_in(ast.Module([child], []), name, is_package, typing_only)
        else:
            yield from imports_in(node, name, is_package, typing_only)


def all_imports() -> dict[str, list[Import]]:
    """Imports of every module of the package."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        name = module_name(path)
        found[name] = list(imports_in(ast.parse(path.read_text()), name, path.name == "__init__.py"))
    return found


IMPORTS = all_imports()


def inside(module: str, *rooms: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def ours(*rooms: str) -> tuple[str, ...]:
    return tuple(f"{PACKAGE}.{room}" for room in rooms)


def offences(
    rooms: tuple[str, ...], forbidden: tuple[str, ...], allowed: tuple[str, ...] = (), *, typing_too: bool = True
) -> list[str]:
    """Imports of ``forbidden`` modules, less ``allowed`` ones, in ``rooms``."""
    return [
        f"{name}:{found.line} imports {found.module}"
        for name, imports in IMPORTS.items()
        if inside(name, *rooms)
        for found in imports
        if inside(found.module, *forbidden)
        and not inside(found.module, *allowed)
        and (typing_too or not found.typing_only)
    ]


LEAVES = ours("errors", "pip_command", "settings", "predictors.protocol", "scope", "dialects")
CONCRETE = ours("predictors.native", "predictors.drum")
ENTRANCES = ours("launcher", "drum_hook", "tools")
HTTP_PROCESS = ours("http", "middleware", "execution.executor", "execution.admission", "execution.pool.supervisor",
                    "execution.pool.pool", "extensions", "observability", "launcher")  # fmt: skip

RULES = {
    "leaves import only each other": (LEAVES, (PACKAGE,), (*LEAVES, f"{PACKAGE}.__version__")),
    "predictors stay below": (ours("predictors"), ours("execution", "http", "middleware", "launcher"), ()),
    "execution knows no web framework": (ours("execution"), (*ours("http", "middleware"), "litestar", "starlette"), ()),
    "execution knows no concrete predictor": (ours("execution"), CONCRETE, ()),
    "http knows no pool, predictor or launcher": (
        ours("http"), (*ours("execution.pool", "launcher"), *CONCRETE), (),
    ),
    "middleware knows nobody": (
        ours("middleware"), ("litestar", *ours("http", "execution", "settings")), (),
    ),
    "native predictor knows no DRUM adapter": (ours("predictors.native"), ours("predictors.drum"), ()),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_rooms(rule: str) -> None:
    rooms, forbidden, allowed = RULES[rule]
    assert not offences(rooms, forbidden, allowed)


def test_controllers_do_not_import_each_other() -> None:
    room = f"{PACKAGE}.http.controllers"
    assert not [
        f"{name}:{found.line} imports {found.module}"
        for name, imports in IMPORTS.items()
        if inside(name, room) and name != room
        for found in imports
        if inside(found.module, room) and not inside(found.module, name)
    ]


def test_nobody_imports_an_entrance() -> None:
    """Only the other entrances and ``python -m drum_litestar`` may reach the launcher, and the check of an environment
    the hook; an entrance may import itself."""
    allowed = {"launcher": ours("drum_hook", "tools", "__main__"), "drum_hook": ours("tools")}
    found = []
    for entrance in ENTRANCES:
        may = allowed.get(entrance.rpartition(".")[2], ())
        importers = tuple(name for name in IMPORTS if not inside(name, entrance, *may))
        found += [
            f"{name}:{each.line} imports {each.module}"
            for name in importers
            for each in IMPORTS[name]
            if inside(each.module, entrance)
        ]
    assert not found


@pytest.mark.parametrize("library", ["pydantic", "flask", "fastapi", "starlette", "werkzeug"])
def test_libraries_that_nobody_imports(library: str) -> None:
    assert not offences((PACKAGE,), (library,))


def test_drum_is_imported_by_its_adapter_and_hook_only() -> None:
    allowed = ours("predictors.drum", "drum_hook", "predictors.native.standin")
    elsewhere = tuple(name for name in IMPORTS if not inside(name, *allowed))
    found = [
        f"{name}:{each.line} imports {each.module}"
        for name in elsewhere
        for each in IMPORTS[name]
        if inside(each.module, "datarobot_drum")
    ]
    assert not found


@pytest.mark.parametrize("library", ["pandas", "numpy", "scipy", "sklearn"])
def test_data_libraries_stay_with_the_model(library: str) -> None:
    """Not even inside a function: the HTTP process has no business with frames."""
    assert not offences(HTTP_PROCESS, (library,), typing_too=False)
