"""The HTTP/1.1 protocol with other releases of uvicorn, httptools and uvloop: its own tests, in a process of their own.

The rest of the suite runs with the releases that are installed. Needs the package index.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.environments.same_names import pip_target
from support.servers.backends import ROOT
from support.servers.process import clean_environment

OLDEST = dict(re.findall(r'"(uvicorn|httptools|uvloop)>=([\d.]+)', (ROOT / "pyproject.toml").read_text()))
TESTS = "tests/unit/server"
QUICK = ("http/test_exchanges.py", "http/test_protocol_requests.py", "http/test_cycle.py")


def run(folder: Path, requirements: tuple[str, ...], *tests: str) -> None:
    """Run ``tests`` with ``requirements``; those without a version are the newest."""
    env = clean_environment({"PYTHONPATH": os.pathsep.join([str(pip_target(folder, *requirements)), str(ROOT)])})
    names = [requirement.partition("==")[0] for requirement in requirements]
    code = f"import {', '.join(names)}; print(*({'.__file__, '.join(names)}.__file__,))"
    where = subprocess.check_output([sys.executable, "-c", code], env=env, cwd=folder, text=True)
    assert where.count(str(folder)) == len(names), where
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"{TESTS}/{test}" for test in tests)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


@pytest.mark.timeout(600)
def test_oldest_releases(tmp_path: Path) -> None:
    """Both event loops are among the tests."""
    run(tmp_path, tuple(f"{name}=={OLDEST[name]}" for name in ("uvicorn", "httptools", "uvloop")), *QUICK)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("uvloop", [f"uvloop=={OLDEST['uvloop']}", "uvloop"])
@pytest.mark.parametrize("httptools", [f"httptools=={OLDEST['httptools']}", "httptools"])
@pytest.mark.parametrize("uvicorn", [f"uvicorn=={OLDEST['uvicorn']}", "uvicorn"])
def test_releases(tmp_path: Path, uvicorn: str, httptools: str, uvloop: str) -> None:
    run(tmp_path, (uvicorn, httptools, uvloop), "")
