"""``scripts/matrix``: the wheel in environments made by pip alone. Needs the package index."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from support.environments.matrix import matrix

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
TELLING = {
    f"{HERE}/1.18.1/2.x": "works",
    f"{HERE}/1.18.1/broken": "RuntimeError: this pydantic is broken",
    f"{HERE}/1.18.1/1.10": "ImportError: cannot import name 'model_validator' from 'pydantic'",
    f"{HERE}/absent/none": "",
}
"""Cells, and what DRUM alone says there."""


def shown(results: list[dict[str, Any]]) -> str:
    return "\n".join(f"{result['cell']}: {result['outcome']} {result['detail']}" for result in results)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([cell], id=cell, marks=() if cell.startswith(f"{HERE}/absent/") else pytest.mark.slow)
        for cell in TELLING
    ],
)
def test_most_telling_cells(cells: list[str]) -> None:
    """The default run has the one without DRUM."""
    code, results, errors = matrix("--json", "--cell", *cells)
    if all(result["outcome"] == "not installable" for result in results):
        pytest.skip(f"the package index is out of reach: {errors[-500:]}")
    assert code == 0, f"{errors}\n{shown(results)}"
    told = {"/".join(result["cell"].values()): result["drum_alone"] for result in results}
    assert told == {cell: TELLING[cell] for cell in cells}
    assert {result["outcome"] for result in results} == {"ok"}


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_whole_matrix() -> None:
    code, results, errors = matrix("--json")
    assert len(results) == 32
    assert code == 0, f"{errors}\n{shown(results)}"


@pytest.mark.parametrize("cell", ["3.11", "3.11/9.9/none", "3.11/absent/3", ""])
def test_cells_that_do_not_exist(cell: str) -> None:
    code, _, errors = matrix("--json", "--cell", cell)
    assert code == 2
    assert "is not PYTHON/DRUM/PYDANTIC" in errors


def test_python_that_is_not_there() -> None:
    code, results, _ = matrix("--json", "--cell", "2.5/absent/none")
    assert code == 1, "nothing has been shown"
    assert results[0]["outcome"] == "not installable"
    assert results[0]["detail"] == "there is no Python 2.5 with venv on this machine"
