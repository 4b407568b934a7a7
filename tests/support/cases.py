"""A contract case, and the functions for its expectations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from support.wire import Answer, Request, post

Check = Callable[[Answer, Path], None]
"""Given the answer and the model folder's path; raises AssertionError."""


@dataclass(frozen=True)
class Case:
    """One request and what must come back.

    ``body``: the exact bytes, or a check. ``headers``: exact values, None for "must be absent", a compiled pattern.
    ``differs`` names the row of the contract's section 8 by which the real DRUM is *not* expected to agree.
    ``fatal``: the real DRUM does not survive the request.
    """

    name: str
    request: Request
    status: int = 200
    body: bytes | Check | None = None
    headers: Mapping[str, str | re.Pattern[str] | None] = field(default_factory=dict)
    differs: str | None = None
    fatal: bool = False

    def check(self, answer: Answer, path: Path) -> None:
        assert answer.status == self.status, f"{answer.status} {answer.body[:2000]!r}"
        assert answer.complete
        if isinstance(self.body, bytes):
            assert answer.body == self.body
        elif self.body is not None:
            self.body(answer, path)
        for name, expected in self.headers.items():
            found = answer.header(name)
            if isinstance(expected, re.Pattern):
                assert found is not None, name
                assert expected.fullmatch(found), f"{name}: {found}"
            else:
                assert found == expected, f"{name}: {found}"


def drum_json(value: Any) -> bytes:
    """Contract, 3.3: sorted keys, compact, escaped, one newline."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def message(text: str, **fields: Any) -> bytes:
    return drum_json({"message": text, **fields})


def error(text: str, **fields: Any) -> bytes:
    return message(f"ERROR: {text}", **fields)


def error_like(pattern: str) -> Check:
    """An error whose text matches ``pattern`` whole (texts of dependencies, reprs of frames)."""

    def check(answer: Answer, path: Path) -> None:
        assert answer.header("content-type") == "application/json"
        assert answer.body.endswith(b"}\n")
        text = answer.json()["message"]
        assert re.fullmatch(pattern, text, re.DOTALL), text

    return check


def any_json(answer: Answer, path: Path) -> None:
    """A JSON object with a message: what the contract leaves open is only its words."""
    assert isinstance(answer.json()["message"], str)


def pandas_json(values: Any, labels: Iterable[str] | None = None) -> bytes:
    """Contract, 3.3 and 3.6: what pandas writes at precision 10."""
    array = np.asarray(values, dtype="float64")
    if labels is None:
        text = pd.Series(array.reshape(-1)).to_json(orient="records", double_precision=10)
    else:
        text = pd.DataFrame(array, columns=list(labels)).to_json(orient="records", double_precision=10)
    return f'{{"predictions":{text}}}'.encode()


def predicts(values: Callable[[Path], Any], labels: Iterable[str] | None = None) -> Check:
    """The model's own numbers, computed here from the artifact, in pandas' JSON."""
    names = None if labels is None else tuple(labels)

    def check(answer: Answer, path: Path) -> None:
        assert answer.body == pandas_json(values(path), names)
        assert answer.header("content-type") == "application/json"

    return check


def nearly_predicts(values: Callable[[Path], Any], labels: Iterable[str] | None = None) -> Check:
    """As :func:`predicts`, for single-precision frameworks: equal to 6 decimals."""
    names = None if labels is None else list(labels)

    def check(answer: Answer, path: Path) -> None:
        rows = answer.json()["predictions"]
        found = rows if names is None else [[row[name] for name in names] for row in rows]
        if names is not None:
            assert all(list(row) == names for row in rows)
        np.testing.assert_allclose(np.asarray(found, dtype=float), np.asarray(values(path)), atol=2e-6, rtol=1e-5)

    return check


def all_of(*checks: Check) -> Check:
    def check(answer: Answer, path: Path) -> None:
        for each in checks:
            each(answer, path)

    return check


def contains(*pieces: bytes) -> Check:
    def check(answer: Answer, path: Path) -> None:
        for piece in pieces:
            assert piece in answer.body, answer.body[:2000]

    return check


def cell(expression: str) -> str:
    """``expression`` as one quoted CSV cell."""
    return '"' + expression.replace('"', '""') + '"'


def told(expression: str, rows: int = 1, target: str = "/predict/") -> Request:
    """A CSV whose column ``do`` tells a hook what to do; column ``n`` counts the rows."""
    lines = [f"{number},{cell(expression)}" for number in range(rows)]
    return post(target, "n,do\n" + "\n".join(lines) + "\n", "text/csv")


def asked(expression: str, body: bytes | str = "", content_type: str | None = "text/plain") -> Request:
    """An unstructured request whose query tells the hook what to do."""
    return post(f"/predictUnstructured/?do={quote(expression)}", body, content_type)
