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


def inside(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def ours(*names: str) -> tuple[str, ...]:
    return tuple(f"{PACKAGE}.{name}" for name in names)


def violations(
    packages: tuple[str, ...], forbidden: tuple[str, ...], allowed: tuple[str, ...] = (), *, typing_too: bool = True
) -> list[str]:
    """Imports of ``forbidden`` modules, less ``allowed`` ones, in ``packages``."""
    return [
        f"{name}:{found.line} imports {found.module}"
        for name, imports in IMPORTS.items()
        if inside(name, *packages)
        for found in imports
        if inside(found.module, *forbidden)
        and not inside(found.module, *allowed)
        and (typing_too or not found.typing_only)
    ]


GROUND = ours(
    "__version__",
    "context",
    "documentation",
    "drum_json",
    "errors",
    "extras",
    "media_types",
    "messages",
    "name_clashes",
    "pip_command",
    "request_context",
    "request_state",
    "route_table",
    "settings",
    "tracebacks",
)
LAYERS = (
    GROUND,
    ours("predictors"),
    ours("observability"),
    ours("execution", "middleware"),
    ours("extensions", "http", "server"),
    ours("protocols"),
    ours("console"),
    ours("launcher"),
    ours("cli"),
    ours("drum_hook", "integrations"),
    ours("tools", "__main__"),
)
"""Lowest first. A module imports from its own package and from lower layers; the ground, from the ground."""

PREDICTOR_LAYERS = (
    ours("predictors.protocol", "predictors.steps", "predictors.spec", "predictors.rules"),
    ours("predictors.folder"),
    ours("predictors.native"),
    ours("predictors.drum"),
    ours("predictors.build"),
)
CONCRETE = ours("predictors.native", "predictors.drum", "predictors.build")
HTTP_PROCESS = ours("http", "protocols", "console", "middleware", "execution.executor", "execution.admission",
                    "execution.pool.supervisor", "execution.pool.pool", "extensions", "observability", "launcher",
                    "server", "cli")  # fmt: skip

RULES = {
    "settings start no process and build no TLS context": (
        ours("settings"), ("subprocess", "multiprocessing", "ssl", "socket", "asyncio"), (),
    ),
    "execution knows no web framework": (ours("execution"), (*ours("http", "middleware"), "litestar", "starlette"), ()),
    "execution knows no concrete predictor": (ours("execution"), CONCRETE, ()),
    "http, console and other protocols know no pool, predictor or launcher": (
        ours("http", "protocols", "console"), (*ours("execution.pool", "launcher"), *CONCRETE), (),
    ),
    "middleware knows no other part": (
        ours("middleware"), ("litestar", *ours("http", "execution", "settings")), ours("settings.groups"),
    ),
    "predictors know no observer": (ours("predictors"), (*ours("observability"), "opentelemetry"), ()),
    "the server's HTTP protocol knows no application": (
        ours("server.http"), ("litestar", *ours("http", "middleware", "execution", "settings")), (),
    ),
    "nothing uses uvicorn's own protocols": ((PACKAGE,), ("uvicorn.protocols",), ()),
}  # fmt: skip


def layer(module: str, layers: tuple[tuple[str, ...], ...]) -> int | None:
    return next((number for number, packages in enumerate(layers) if inside(module, *packages)), None)


def owner(module: str, packages: tuple[str, ...]) -> str:
    return next(package for package in packages if inside(module, package))


@pytest.mark.parametrize("layers", [LAYERS, PREDICTOR_LAYERS], ids=["package", "predictors"])
def test_no_arrow_points_upwards(layers: tuple[tuple[str, ...], ...]) -> None:
    """Neither up nor to a neighbour in the same layer, not even for annotations."""
    found = []
    for name, imports in IMPORTS.items():
        mine = layer(name, layers)
        for each in imports if mine is not None else ():
            theirs = layer(each.module, layers)
            if theirs is None or mine is None or theirs < mine or mine == theirs == 0:
                continue
            if theirs > mine or owner(name, layers[mine]) != owner(each.module, layers[mine]):
                found.append(f"{name}:{each.line} imports {each.module}")
    assert not found


def test_every_module_has_a_layer() -> None:
    assert not [name for name in IMPORTS if name != PACKAGE and layer(name, LAYERS) is None]


def known(module: str) -> str:
    """The module of ours that an imported name belongs to; empty for others."""
    while module and module not in IMPORTS:
        module = module.rpartition(".")[0]
    return module


def reachable(start: str, arrows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = arrows[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_there_is_no_circle() -> None:
    """Imports for annotations and inside functions count too."""
    arrows = {name: {known(each.module) for each in imports} - {"", name} for name, imports in IMPORTS.items()}
    assert sorted(name for name in arrows if name in reachable(name, arrows)) == []


@pytest.mark.parametrize("rule", RULES)
def test_package_rules(rule: str) -> None:
    packages, forbidden, allowed = RULES[rule]
    assert not violations(packages, forbidden, allowed)


def test_controllers_do_not_import_each_other() -> None:
    controllers = f"{PACKAGE}.http.controllers"
    assert not [
        f"{name}:{found.line} imports {found.module}"
        for name, imports in IMPORTS.items()
        if inside(name, controllers) and name != controllers
        for found in imports
        if inside(found.module, controllers) and not inside(found.module, name)
    ]


@pytest.mark.parametrize("library", ["pydantic", "flask", "fastapi", "starlette", "werkzeug"])
def test_libraries_that_are_never_imported(library: str) -> None:
    assert not violations((PACKAGE,), (library,))


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
    """Not even inside a function: the HTTP process handles bytes, not frames."""
    assert not violations(HTTP_PROCESS, (library,), typing_too=False)
