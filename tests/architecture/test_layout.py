"""What the tree shows: folders that can be read at a glance, names that say one thing, files that hold one concept."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from architecture.test_imports import PACKAGE, ROOT

PACKAGE_FOLDER = ROOT / PACKAGE
STANDIN = PACKAGE_FOLDER / "predictors" / "native" / "standin"
"""Its names are those of ``datarobot_drum``."""

MODULES = [path for path in sorted(PACKAGE_FOLDER.rglob("*.py")) if STANDIN not in path.parents]
FOLDERS = sorted({path.parent for path in MODULES})

FULLEST_FOLDER = 15
"""Modules in a folder, ``__init__`` not counted."""

LONGEST, SHORTEST = 400, 40

LONG: dict[str, str] = {}
"""Files of more than LONGEST lines, and why."""

SHORT = {
    "__main__.py": "python -m",
    "drum_json.py": "one format, which both processes write",
    "extras.py": "every optional import",
    "http/controllers/": "a route family each, that delegates",
    "launcher/error_server.py": "a policy of its own: serve the load error, or leave",
    "middleware/": "one middleware per file",
    "observability/logs/log_masking.py": "imports the SDK, which nothing else there may",
    "predictors/build.py": "the one module that imports both predictors",
    "predictors/native/datarobot/api_client.py": "one service of the platform",
    "predictors/native/formats/multipart_body.py": "one format",
    "predictors/native/frameworks/": "one framework per file",
    "predictors/native/review.py": "the launcher asks it, also in another interpreter, without loading the model",
    "request_context.py": "shared by log records, spans and hooks",
    "tools/conformance/__main__.py": "python -m",
    "settings/urls.py": "what two settings may hold",
}
"""Files of fewer than SHORTEST lines that hold neither a protocol nor constants, and why they are files."""

SAME_NAME = {"__main__": "python -m"}
"""Names that several files have, and why they cannot be confused."""

GLOBALS = {
    "cli/main.py": "sys.?",
    "drum_hook/finder.py": "sys.modules sys.modules[package].?",
    "execution/pool/isolation.py": "sys.argv sys.path",
    "extensions.py": "sys.modules sys.path",
    "integrations/ray/replica.py": "os.environ",
    "name_clashes.py": "sys.modules",
    "observability/logs/setup.py": "sys.?",
    "observability/providers.py": "os.environ",
    "observability/worker_setup.py": "sys.dont_write_bytecode",
    "predictors/drum/drum_predictor.py": "sys.argv",
    "predictors/native/frameworks/keras_framework.py": "os.environ",
    "predictors/native/hooks/custom_module.py": "sys.modules sys.path",
    "predictors/native/startup.py": "sys.argv",
}
"""Interpreter state that is set on purpose: what user code finds there, or how its libraries are told.
No global of another package is among them. A ``?`` is a name that ``setattr`` computes."""


def short(path: Path) -> str:
    return str(path.relative_to(PACKAGE_FOLDER))


def names(paths: list[Path]) -> list[str]:
    return [short(path) for path in paths]


@pytest.mark.parametrize("folder", FOLDERS, ids=short)
def test_a_folder_is_read_at_a_glance(folder: Path) -> None:
    assert len([path for path in MODULES if path.parent == folder]) - 1 <= FULLEST_FOLDER


@pytest.mark.parametrize("folder", FOLDERS, ids=short)
def test_a_folder_says_what_lives_there(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))


def test_no_file_shadows_the_standard_library() -> None:
    assert not [short(path) for path in MODULES if path.stem in sys.stdlib_module_names]


def test_no_two_files_are_confused() -> None:
    counted = Counter(path.stem for path in MODULES if path.name != "__init__.py")
    assert sorted(name for name, count in counted.items() if count > 1) == sorted(SAME_NAME)


def is_constant_or_protocol(node: ast.stmt) -> bool:
    """A public constant or a ``Protocol`` at a module's top level."""
    if isinstance(node, ast.ClassDef):
        return any("Protocol" in ast.unparse(base) for base in node.bases)
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(each, ast.Name) and each.id.isupper() and each.id[0] != "_" for each in targets)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_long_files_have_a_reason() -> None:
    assert [name for name in names([path for path in MODULES if lines(path) > LONGEST]) if name not in LONG] == []
    assert all(lines(PACKAGE_FOLDER / name) > LONGEST for name in LONG), "a reason that is no longer needed"


def test_short_files_have_a_reason() -> None:
    found = [
        short(path)
        for path in MODULES
        if path.name != "__init__.py"
        and lines(path) < SHORTEST
        and not any(map(is_constant_or_protocol, ast.parse(path.read_text()).body))
    ]
    assert [name for name in found if not any(name.startswith(each) for each in SHORT)] == []
    assert [each for each in SHORT if not any(name.startswith(each) for name in found)] == []


def foreign_names(tree: ast.Module) -> set[str]:
    """Names that imports of modules or objects of other packages bind anywhere in the file."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and not (node.module or "").startswith(PACKAGE):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


CHANGING = {
    *("update", "setdefault", "pop", "popitem", "clear", "append", "extend", "insert", "remove", "sort", "reverse"),
    *("add", "discard"),
}
"""Methods of the built-in containers that change them."""


def changed(tree: ast.Module) -> Iterator[str]:
    """Expressions that are assigned to, deleted or changed, or whose attribute or item is: ``sys.argv``,
    ``os.environ``, ``STATUS_LINE.update(...)``."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, (ast.Assign, ast.Delete)):
            targets = node.targets
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
            targets = [node.target]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
            yield f"{ast.unparse(node.args[0])}.?"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            yield ast.unparse(node.func.value)
        for target in targets:
            inner = target.value if isinstance(target, ast.Subscript) else target
            if isinstance(inner, ast.Attribute):
                yield ast.unparse(inner)


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_no_module_changes_another_packages_globals(path: Path) -> None:
    tree = ast.parse(path.read_text())
    foreign = foreign_names(tree)
    allowed = set(GLOBALS.get(short(path), "").split())
    found = {each for each in changed(tree) if each.partition(".")[0] in foreign}
    assert found == allowed
