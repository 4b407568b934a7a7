"""``scripts/matrix``: the wheel in environments made by pip alone. Needs the package index."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
TELLING = {
    f"{HERE}/1.18.1/2.x": "works",
    f"{HERE}/1.18.1/broken": "RuntimeError: this pydantic is broken",
    f"{HERE}/1.18.1/1.10": "ImportError: cannot import name 'model_validator' from 'pydantic'",
    f"{HERE}/absent/none": "",
}
"""Cells, and what DRUM alone says there."""


class Matrix:
    """One run of ``scripts/matrix``, in the background."""

    def __init__(self, *arguments: str) -> None:
        self._command = [str(ROOT / "scripts" / "matrix"), "--json", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._said: tuple[str, str] = ("", "")
        self._reader = threading.Thread(target=self._read, name="matrix", daemon=True)

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, "PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader.start()

    def _read(self) -> None:
        """Take its output and its exit code as soon as it ends: other tests count the zombies of this process."""
        assert self._process is not None
        self._said = self._process.communicate()

    def result(self) -> tuple[int, list[dict[str, Any]], str]:
        """Wait for it: exit code, results, what it said."""
        if self._process is None:
            self.start()
        assert self._process is not None
        self._reader.join()
        output, errors = self._said
        return self._process.returncode, json.loads(output or "[]"), errors

    def stop(self) -> None:
        """Idempotent."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._reader.join()


def matrix(*arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    return Matrix(*arguments).result()


MOST_TELLING = Matrix("--cell", *TELLING)


def shown(results: list[dict[str, Any]]) -> str:
    return "\n".join(f"{result['cell']}: {result['outcome']} {result['detail']}" for result in results)


@pytest.mark.timeout(900)
@pytest.mark.background(MOST_TELLING)
def test_most_telling_cells() -> None:
    code, results, errors = MOST_TELLING.result()
    if all(result["outcome"] == "not installable" for result in results):
        pytest.skip(f"the package index is out of reach: {errors[-500:]}")
    assert code == 0, f"{errors}\n{shown(results)}"
    assert {"/".join(result["cell"].values()): result["drum_alone"] for result in results} == TELLING
    assert {result["outcome"] for result in results} == {"ok"}


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_whole_matrix() -> None:
    code, results, errors = matrix()
    assert len(results) == 32
    assert code == 0, f"{errors}\n{shown(results)}"


@pytest.mark.parametrize("cell", ["3.11", "3.11/9.9/none", "3.11/absent/3", ""])
def test_cells_that_do_not_exist(cell: str) -> None:
    code, _, errors = matrix("--cell", cell)
    assert code == 2
    assert "is not PYTHON/DRUM/PYDANTIC" in errors


def test_python_that_is_not_there() -> None:
    code, results, _ = matrix("--cell", "2.5/absent/none")
    assert code == 1, "nothing has been shown"
    assert results[0]["outcome"] == "not installable"
    assert results[0]["detail"] == "there is no Python 2.5 with venv on this machine"
