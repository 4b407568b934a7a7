"""Interpreters of the model's own: real virtual environments of Python 3.8 and later, with what their model needs.

An environment is made once, in the cache that the oracle's environment is in, and holds nothing of this project's.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import environment_matrix
import pytest

from support.servers.backends import ORACLE_CACHE, ROOT

WORKERS_NEED = ("msgspec", "pandas", "numpy")
OLDEST = ("msgspec==0.16.0", "pandas==1.5.0", "numpy==1.20.3", "scikit-learn==1.0.2", "pydantic<2")
"""The oldest that workers are promised to run with, on Python 3.8."""
TRACED = (*WORKERS_NEED, "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")


def find_python(version: str) -> str:
    """The matrix's interpreter of ``version`` (``3.8``). Skips the test where there is none."""
    try:
        return environment_matrix.find_python(version)
    except environment_matrix.NotInstallableError as error:
        pytest.skip(str(error))


def bare(home: Path, version: str) -> Path:
    """A new virtual environment at ``home`` without any package, not even pip."""
    subprocess.run([find_python(version), "-m", "venv", "--without-pip", str(home)], check=True)
    return home


def with_packages(version: str, *requirements: str) -> Path:
    """The environment of ``version`` with ``requirements``, made when it is first asked for.

    Raises RuntimeError with pip's own words.
    """
    base = find_python(version)
    cache = Path(os.environ.get(ORACLE_CACHE) or ROOT / ".cache")
    key = hashlib.sha256(json.dumps([base, *requirements]).encode()).hexdigest()[:12]
    home = cache / f"worker-python-{version}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{home.name}.lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            print(f"making {home.name} with {', '.join(requirements)}", file=sys.stderr, flush=True)
            _run([base, "-m", "venv", "--clear", str(home)])
            pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            _run([*pip, "--prefer-binary", *requirements])
            (home / "ready").touch()
    return home


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(list(command), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
