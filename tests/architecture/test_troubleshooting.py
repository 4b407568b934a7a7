"""The messages that the page about troubleshooting quotes are those of the product."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from support.pages import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"
OTHERS = {"Found array with 0 sample(s)": "scikit-learn's, which the answer passes on"}
"""Messages of libraries."""
LEAST = 25


def cells() -> Iterator[tuple[str, list[str]]]:
    """The message of each row of the page's tables, and the row's other cells."""
    for line in PAGE.read_text().splitlines():
        found = re.match(r"\| (?:`` (?P<ticks>.+?) ``|`(?P<plain>[^`]+)`) \|(?P<rest>.*)\|$", line)
        if found:
            yield found["ticks"] or found["plain"], found["rest"].split(" | ")


MESSAGES = [message for message, _ in cells()]


def shortened(text: str) -> str:
    """Placeholders as one ``…``, and one blank for each run of blanks."""
    text = re.sub(r"%[-\w.]*[dsrgfx]|\{[^{}]*\}", "…", text)
    return re.sub(r"(?:…\s*)+…", "…", re.sub(r"\s+", " ", text))


def flat(node: ast.AST) -> str | None:
    """The text of a string expression, with ``…`` for what is put into it; None for other expressions."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(flat(part) or "…" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = flat(node.left), flat(node.right)
        return None if parts == (None, None) else (parts[0] or "…") + (parts[1] or "…")
    return None


@cache
def product_texts() -> tuple[str, ...]:
    found = set()
    for path in (ROOT / "drum_litestar").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = flat(node)
            if text is not None:
                found.add(shortened(text))
    return tuple(found)


@pytest.mark.parametrize(
    ("expression", "text"),
    [("f'a {b!r} c'", "a … c"), ("'a %d b %s' + c", "a … b …"), ("f'{a}{b}: ' f'c'", "…: c"), ("1 + 2", None)],
)
def test_texts_are_found(expression: str, text: str | None) -> None:
    """Otherwise the next test would prove nothing."""
    found = flat(ast.parse(expression, mode="eval").body)
    assert (found if found is None else shortened(found)) == text


def test_there_are_enough() -> None:
    assert len(MESSAGES) >= LEAST
    assert len(set(MESSAGES)) == len(MESSAGES)
    for message, rest in cells():
        assert len(rest) >= 2, f"no cause and remedy: {message}"


@pytest.mark.parametrize("message", [message for message in MESSAGES if message not in OTHERS])
def test_the_product_says_it(message: str) -> None:
    wanted = shortened(message).strip().removesuffix("…").strip()
    assert any(wanted in text for text in product_texts())
