"""Servers beside python-multipart 0.0.6, whose package hides the module that Litestar imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import running
from support.environments.pydantic_environments import Environments
from support.servers.backends import console_script
from support.servers.process import ServerProcess, free_port
from support.wire import get, upload

CUSTOM = """\
import multipart, multipart.multipart
import pandas as pd

def load_model(code_dir):
    return multipart.FormParser

def score(data, model, **kwargs):
    fields = []
    parser = multipart.QuerystringParser({"on_field_data": lambda data, start, end: fields.append(data[start:end])})
    parser.write(b"add=5")
    parser.finalize()
    print("hook:", multipart.__file__, model.__module__, fields, flush=True)
    return pd.DataFrame({"Predictions": data["a"] + 5})
"""
EXTENSION = """\
import multipart
from litestar import get
from multipart import FormParser

@get("/python_multipart", sync_to_thread=False)
def python_multipart() -> str:
    import multipart as late
    assert late is multipart
    return f"{multipart.__file__} {FormParser.__module__}"

def init_app(app_builder):
    app_builder.add_routes(python_multipart)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "custom.py").write_text(CUSTOM)
    (folder / "custom_litestar.py").write_text(EXTENSION)
    return folder


def check_answers(server: ServerProcess, python_multipart: Path) -> None:
    """Our module parses a form, while the hook and the extension import the other module of that name."""
    origin = python_multipart / "multipart" / "__init__.py"
    answer = server.send(upload("a\n1\n2\n"))
    assert (answer.status, answer.json()) == (200, {"predictions": [6.0, 7.0]})
    server.wait_output(f"hook: {origin} multipart.multipart [b'5']")
    assert server.send(get("/python_multipart")).body.decode() == f"{origin} multipart.multipart"


@pytest.mark.parametrize("executor", ["pool", "inline"])
def test_form_is_read_and_user_code_has_the_other_module(
    executor: str, model: Path, python_multipart: Path, tmp_path: Path
) -> None:
    port = free_port()
    command = [console_script(), "server", "-cd", str(model), "--address", f"127.0.0.1:{port}"]
    command += ["--target-type", "regression", "--executor", executor]
    server = ServerProcess(command, port=port, log=tmp_path / "log", env={"PYTHONPATH": str(python_multipart)})
    with running(server):
        check_answers(server, python_multipart)


def test_drum_server(environments: Environments, model: Path, python_multipart: Path, tmp_path: Path) -> None:
    """Started by the hook into ``drum server``, beside Pydantic 1, with which DRUM itself cannot be imported."""
    env = {"PYTHONPATH": str(python_multipart), "MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": "litestar"}
    arguments = ["-cd", str(model), "--target-type", "regression"]
    with running(environments.make("1.10").start("drum", arguments, tmp_path / "log", env)) as server:
        check_answers(server, python_multipart)
