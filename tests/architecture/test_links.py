"""Links in messages lead somewhere, also for who has only a wheel."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from drum_litestar import documentation

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "drum_litestar").rglob("*.py"))
MAIN = f"{documentation.REPOSITORY}/blob/main/"
LINKS = [
    value for name, value in vars(documentation).items() if name.isupper() and str(value).startswith(f"{MAIN}docs/")
]


def slug(heading: str) -> str:
    """GitHub's anchor of a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return words.replace(" ", "-")


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
    text = (ROOT / path).read_text()
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    assert not anchor or anchor in map(slug, headings)


def test_pages_are_named_in_one_place_only() -> None:
    """A path into ``docs`` is of no use to who has only a wheel."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in SOURCES
        if path.stem != "documentation"
        for line, text in texts(path)
        if re.search(r"\w\.md\b|\bdocs/", text) or documentation.REPOSITORY in text
    ]
    assert not found


@pytest.mark.parametrize(
    ("heading", "anchor"), [("From `a` to b.", "from-a-to-b"), ("The *switch*, and back", "the-switch-and-back")]
)
def test_anchors_are_githubs(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
