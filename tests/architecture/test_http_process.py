"""The HTTP process of a running server imports neither Pydantic nor anything of the model's.

The process itself is asked: a ``sitecustomize`` writes down, at exit, which modules it has. A second start has a
*broken* pydantic first on its path, which raises when imported; the server must not notice.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from support.servers.process import ServerProcess
from support.wire import csv, get
from support.zoo import Zoo

FOREIGN = ("pydantic", "pandas", "numpy", "flask", "sklearn", "scipy", "polyfactory", "datarobot_drum", "starlette")
LATE = ("httpx",)
"""What only the proxy of an LLM server needs, which this model has not."""
AUDIT = """\
import atexit, os, sys

def report():
    with open(os.path.join(os.environ["IMPORT_REPORTS"], str(os.getpid())), "w") as sink:
        sink.write("\\n".join(sorted(sys.modules)))

if "IMPORT_REPORTS" in os.environ:
    atexit.register(report)
"""
BROKEN = "raise RuntimeError('this pydantic is broken')\n"
DATA = b"x0,x1,x2,x3,x4,x5,x6,x7,x8,x9\n" + b"1,2,3,4,5,6,7,8,9,10\n"


def folder_on_path(home: Path, pydantic: str | None) -> dict[str, str]:
    """A ``sitecustomize`` that reports every process's modules at exit, and a stub of pydantic when asked for."""
    library = home / "library"
    library.mkdir()
    (library / "sitecustomize.py").write_text(AUDIT)
    if pydantic is not None:
        (library / "pydantic").mkdir()
        (library / "pydantic" / "__init__.py").write_text(pydantic)
    reports = home / "reports"
    reports.mkdir()
    return {"PYTHONPATH": str(library), "IMPORT_REPORTS": str(reports)}


def used(server: ServerProcess) -> None:
    """Touch every family of routes, so that late imports happen too."""
    assert server.send(csv(DATA)).status == 200
    for path in ("/info/", "/capabilities/", "/stats/", "/models", "/ping/", "/nope"):
        server.send(get(path))


def roots(names: str) -> set[str]:
    return {name.split(".")[0] for name in names.split()}


@pytest.mark.parametrize("pydantic", [None, BROKEN, "VERSION = '1.10.0'\n"], ids=["as installed", "broken", "old"])
def test_http_process_imports_nothing_of_the_model(
    serve: Callable[..., ServerProcess], tmp_path: Path, pydantic: str | None
) -> None:
    env = folder_on_path(tmp_path, pydantic)
    server = serve("regression", executor="pool", env=env)
    used(server)
    pid = server.process.pid
    workers = psutil.Process(pid).children(recursive=True)
    assert server.stop() == 0
    report = (Path(env["IMPORT_REPORTS"]) / str(pid)).read_text()
    assert "litestar" in roots(report), "the report is of another process"
    assert sorted(roots(report) & {*FOREIGN, *LATE}) == []
    assert workers, "the pool has no worker processes"


def test_native_worker_does_without_pydantic(serve: Callable[..., ServerProcess], tmp_path: Path) -> None:
    """With the inline executor HTTP and model share one process: a broken pydantic must still not matter."""
    server = serve("regression", executor="inline", env=folder_on_path(tmp_path, BROKEN))
    used(server)


def test_broken_stub_is_really_found(zoo: Zoo, tmp_path: Path) -> None:
    """The stub shadows an installed pydantic; otherwise the tests above would prove nothing."""
    env = {**os.environ, **folder_on_path(tmp_path, BROKEN)}
    done = subprocess.run(
        [sys.executable, "-c", "import pydantic"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.search("this pydantic is broken", done.stderr)
