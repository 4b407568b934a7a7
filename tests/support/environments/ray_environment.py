"""An interpreter with Ray beside the packages of the tests: Ray's wheel is too large for the default environment."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from support.servers.backends import ORACLE_CACHE, ROOT

RAY = "ray[serve]>=2.56.1"
RAY_PYTHON = "RAY_TEST_PYTHON"
"""Variable that names a ready interpreter with Ray, and with what the tests' own has."""


def ray_python(requirement: str = RAY) -> Path:
    """The interpreter, made once. It sees what the tests' environment has installed, this checkout included.

    Skips the test where Ray cannot be installed.
    """
    named = os.environ.get(RAY_PYTHON)
    if named:
        return Path(named)
    cache = Path(os.environ.get(ORACLE_CACHE) or ROOT / ".cache")
    key = hashlib.sha256(f"{sys.version}{sys.prefix}{requirement}".encode()).hexdigest()[:12]
    home = cache / f"ray-{key}"
    python = home / "bin" / "python"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{home.name}.lock").open("w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            print(f"making an environment with {requirement} in {home}", file=sys.stderr, flush=True)
            venv.EnvBuilder(with_pip=True, clear=True).create(home)
            site = next(home.glob("lib/python3*/site-packages"))
            (site / "of_the_tests.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
            command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"Ray cannot be installed:\n{done.stderr[-2000:]}")
            (home / "ready").touch()
    return python
