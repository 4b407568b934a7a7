"""Links in messages have a target, and are URLs: a wheel has no pages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from architecture.test_references import ROOT, leads_nowhere
from drum_litestar import documentation

SOURCES = sorted((ROOT / "drum_litestar").rglob("*.py"))
MAIN = f"{documentation.REPOSITORY}/blob/main/"
LINKS = [
    value for name, value in vars(documentation).items() if name.isupper() and str(value).startswith(f"{MAIN}docs/")
]


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a module, docstrings left out."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def test_the_repository_is_the_projects() -> None:
    urls = re.search(r"^\[project\.urls\]\n(?:.+\n)*", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert urls is not None
    assert MAIN in urls[0]


def test_there_are_links() -> None:
    assert {documentation.MIGRATING, documentation.SWITCHING} <= set(LINKS)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_has_a_target(link: str) -> None:
    path, _, anchor = link.removeprefix(MAIN).partition("#")
    assert not leads_nowhere(ROOT / path, anchor)


def test_pages_are_named_in_one_place_only() -> None:
    """A path into ``docs`` is of no use to users of a wheel, which has no pages."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in SOURCES
        if path.stem not in ("documentation", "folder_texts")  # a new model folder has a README of its own
        for line, text in texts(path)
        if re.search(r"\w\.md\b|(?<!/)\bdocs/", text) or documentation.REPOSITORY in text
    ]
    assert not found
