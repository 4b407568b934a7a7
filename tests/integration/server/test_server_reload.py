"""``--reload``: real changes of real folders, served by workers of either kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from conftest import running
from support.files import replace_text
from support.servers.backends import start_ours
from support.servers.faults import eventually
from support.servers.process import ServerProcess, clean_environment
from support.wire import csv, get, post
from support.zoo.registry import ModelFolder

CUSTOM = """\
import pandas as pd
from parts.numbers import NUMBER


def load_model(code_dir):
    return NUMBER


def score(data, model, **kwargs):
    return pd.DataFrame({{"Predictions": [model + {added}] * len(data)}})
"""
NUMBER = "NUMBER = {number}\n"
OF_ITS_OWN = "an interpreter of the model's own"
EXTENSION = "def init_app(app_config):\n    return app_config\n"

Start = Callable[..., ServerProcess]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (folder / "custom.py").write_text(CUSTOM.format(added=0))
    (folder / "parts" / "numbers.py").write_text(NUMBER.format(number=1))
    return folder


@pytest.fixture
def start(model: Path, tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(*arguments: str, env: dict[str, str] | None = None) -> ServerProcess:
            folder = ModelFolder(model.name, lambda _: None, "regression")
            server = start_ours(folder, model, tmp_path / "server.log", arguments=arguments, env=env)
            stack.enter_context(running(server))
            server.wait_output(f"Watching {model}: a change reloads the model (for development)")
            return server

        yield start


def predicted(server: ServerProcess) -> float:
    answer = server.send(csv("a\n1\n"))
    assert answer.status == 200, answer
    found: float = answer.json()["predictions"][0]
    return found


def lines(server: ServerProcess) -> list[str]:
    """What the log says of changes."""
    return [line.partition(":  ")[2].strip() for line in server.output().splitlines() if "changed" in line]


@pytest.mark.parametrize(
    "kind",
    ["one worker", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("three workers", OF_ITS_OWN))],
)
def test_a_change_is_served(start: Start, model: Path, kind: str) -> None:
    """Quick ones of the same size too, of a module that ``custom.py`` imports, and no request fails meanwhile."""
    arguments = ["--reload"]
    if kind == "three workers":
        arguments += ["--max-workers", "3"]
    if kind == OF_ITS_OWN:
        arguments += ["--worker-python", sys.executable]
    server = start(*arguments)
    assert predicted(server) == 1
    for number in (2, 3):
        replace_text(model / "parts" / "numbers.py", NUMBER.format(number=number))
        seen: list[float] = []

        def all_new(expected: float = number, seen: list[float] = seen) -> bool:
            seen.append(predicted(server))
            return server.output().count("The model is reloaded, in ") == expected - 1

        eventually(all_new, f"a reload for {number}\n{server.output()[-2000:]}")
        assert [predicted(server) for _ in range(10)] == [number] * 10
        assert set(seen) <= {number - 1, number}
    replace_text(model / "custom.py", CUSTOM.format(added=10))
    eventually(lambda: predicted(server) == 13, "the new custom.py")
    assert lines(server) == ["parts/numbers.py changed: reloading"] * 2 + ["custom.py changed: reloading"]


def test_what_editors_and_logs_write_is_no_change(start: Start, model: Path) -> None:
    server = start(env={"DRUM_RELOAD": "true"})
    (model / "__pycache__").mkdir(exist_ok=True)
    for name in ("__pycache__/custom.cpython-311.pyc", ".custom.py.swp", "custom.py~", "4913", "server.log", "x.tmp"):
        (model / name).write_text("x")
    (model / "custom_litestar.py").write_text(EXTENSION)
    server.wait_output("custom_litestar.py changed: that takes a restart of the server")
    assert server.send(get("/stats/")).json()["executor_reloads"] == {"succeeded": 0, "failed": 0}
    (model / "custom.py").replace(model / "custom.py~")  # as editors save
    (model / "custom.py").write_text(CUSTOM.format(added=5))
    eventually(lambda: predicted(server) == 6, "the new version")
    assert lines(server) == [
        "custom_litestar.py changed: that takes a restart of the server",
        "custom.py changed: reloading",
    ]


def test_a_broken_file_keeps_the_last_good_model(start: Start, model: Path) -> None:
    """Also a worker's death does not end it: the next change brings the model back."""
    server = start("--reload")
    replace_text(model / "custom.py", "def score(data, model:\n")
    server.wait_output("Reloading the model failed; the old one goes on: ")
    assert "SyntaxError" in server.output()
    assert f'File "{model}/custom.py", line 1' in server.output()
    assert predicted(server) == 1
    assert server.send(get("/stats/")).json()["executor_reloads"] == {"succeeded": 0, "failed": 1}
    (worker,) = psutil.Process(server.process.pid).children()
    os.kill(worker.pid, signal.SIGKILL)
    server.wait_output("no model worker is left, and calls get 503")
    answer = server.send(csv("a\n1\n"))
    assert answer.status == 503
    assert answer.json()["message"].startswith("No model worker is ready: the model folder cannot be loaded any more: ")
    replace_text(model / "custom.py", CUSTOM.format(added=1))
    server.wait_output("The model is reloaded, in ")
    assert predicted(server) == 2


def test_metadata_is_read_again(start: Start, model: Path) -> None:
    server = start("--reload")
    (model / "model-metadata.yaml").write_text("name: renamed\ntype: inference\ntargetType: regression\n")
    server.wait_output("model-metadata.yaml changed: reloading")
    server.wait_output("The model is reloaded, in ")
    assert server.send(get("/info/")).json()["modelMetadata"]["name"] == "renamed"
    assert server.send(post("/predict/", b"a\n1\n", "text/csv")).status == 200


def test_without_watchfiles(model: Path) -> None:
    """One line that says what to install, before anything is loaded."""
    code = "import sys; sys.modules['watchfiles'] = None; from drum_litestar.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "server", "--reload", "--address", "127.0.0.1:0", "-cd", str(model)]
    done = subprocess.run(
        [*command, "--target-type", "regression"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        check=False,
        timeout=300,
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "--reload (DRUM_RELOAD) needs the package 'watchfiles', which is not installed. Install it with: " in line
