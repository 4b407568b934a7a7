"""Types of a table's columns, from those of its parts: what reading the whole file at once would give.

pandas infers a column's type from all of its values. A part alone may lack the value that decides: then the type is
sent along with each part. Where a column's parts cannot be brought together so that every value is what the whole file
gives (numbers in some rows, text in others), the file is scored as one table.
"""

from __future__ import annotations

from typing import Any, Final

from drum_litestar.predictors.protocol import BLANK_COLUMN, TEXT_COLUMN

FLOAT: Final = "float64"
_NUMBERS: Final = frozenset({"int64", FLOAT})


class ColumnTypes:
    """Collects the types of parts."""

    def __init__(self) -> None:
        self._names: list[str] | None = None
        self._found: list[set[str]] = []
        self._problem = ""

    def add(self, answer: Any) -> None:
        """``answer`` is that of a ``column_types`` call (:func:`answer_column_types`)."""
        names = [name for name, _ in answer["columns"]]
        if not answer["plain"]:
            self._problem = "it has lines with more fields than its header"
        elif self._names is None:
            self._names, self._found = names, [set() for _ in names]
        elif self._names != names:
            self._problem = "its lines differ in their fields"
        if not self._problem:
            for kinds, (_, kind) in zip(self._found, answer["columns"], strict=True):
                kinds.add(kind)

    def problem(self, *, insist: bool) -> str:
        """Why the file cannot be scored in parts, or an empty text. ``insist``: types that differ do not count."""
        if self._problem or insist:
            return self._problem
        for name, kinds in zip(self._names or (), self._found, strict=True):
            if _common(kinds) is None:
                return f"column {name!r} has {_words(kinds)}"
        return ""

    def forced(self) -> dict[str, str]:
        """The types to send along with each part, by name; empty when every part shows the same."""
        forced: dict[str, str] = {}
        for name, kinds in zip(self._names or (), self._found, strict=True):
            if TEXT_COLUMN in kinds and len(kinds) > 1:
                forced[name] = "str"
            elif "int64" in kinds and len(kinds) > 1 and kinds <= {*_NUMBERS, BLANK_COLUMN}:
                forced[name] = FLOAT
        return forced


def _common(kinds: set[str]) -> str | None:
    """The type of the whole column; None where values of some parts would be others in the whole file."""
    if len(kinds) <= 1:
        return next(iter(kinds), BLANK_COLUMN)
    if kinds <= {*_NUMBERS, BLANK_COLUMN}:
        return FLOAT
    return TEXT_COLUMN if kinds == {TEXT_COLUMN, BLANK_COLUMN} else None


def _words(kinds: set[str]) -> str:
    named = {"int64": "numbers", "uint64": "numbers", FLOAT: "numbers", "bool": "truth values", BLANK_COLUMN: "blanks"}
    words = sorted({named.get(kind, "text") for kind in kinds})
    return f"{words[0]} in some rows and {' and '.join(words[1:])} in others" if len(words) > 1 else f"mixed {words[0]}"
