"""CSV is read alike the short way and the long one, by each pandas that a worker's interpreter may have."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from support import csv_corpus
from support.environments.worker_pythons import OLDEST, TRACED, WORKERS_NEED, with_packages
from support.servers.backends import ROOT

SUMMARY = re.compile(
    r"pandas (\S+): (\d+) bodies, (\d+) read by the short way, (\d+) groups merged, (\d+) differences\n"
)
PYDANTIC = "pydantic>=2"


def own() -> Path:
    return Path(sys.prefix)


def of(version: str, *requirements: str) -> Callable[[], Path]:
    """Make an environment; skip the test where its packages cannot be had."""

    def make() -> Path:
        try:
            return with_packages(version, *requirements)
        except RuntimeError as error:
            pytest.skip(str(error))

    return make


MORE = ("--bodies", "8000", "--batches", "1500")
AS_TEXT, AS_OBJECTS = ("--infer-string", "yes"), ("--infer-string", "no")
CELLS = {
    "3.8": (of("3.8", *WORKERS_NEED), MORE),
    "3.10": (of("3.10", *TRACED, PYDANTIC), MORE),
    "3.10, text as str": (of("3.10", *TRACED, PYDANTIC), AS_TEXT),
    "3.13": (of("3.13", *TRACED, PYDANTIC), MORE),
    "3.13, text as objects": (of("3.13", *TRACED, PYDANTIC), AS_OBJECTS),
    "3.10, pyarrow, text as str": (of("3.10", *WORKERS_NEED, "pyarrow"), AS_TEXT),
    "3.13, pyarrow": (of("3.13", *WORKERS_NEED, "pyarrow"), ()),
}


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [
        pytest.param(own, (), id="installed"),
        pytest.param(of("3.8", *OLDEST), (), id="oldest", marks=pytest.mark.slow),
        *(pytest.param(*cell, id=name, marks=pytest.mark.slow) for name, cell in CELLS.items()),
    ],
)
def test_the_corpus(environment: Callable[[], Path], arguments: tuple[str, ...]) -> None:
    """Generated bodies, of which about half are such that our parser reads them; and batches of them."""
    home = environment()
    command = [str(home / "bin" / "python"), csv_corpus.__file__, *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    found = SUMMARY.fullmatch(done.stdout)
    assert found is not None, done
    bodies, read, groups, differences = map(int, found.groups()[1:])
    assert (done.returncode, differences) == (0, 0), done.stderr
    assert bodies > 2000
    assert read > bodies / 2
    assert groups > 100
    assert environment is not own or found[1] == pd.__version__
