"""Models in an interpreter of their own: real environments of each Python, beside Pydantic 1 and 2."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import running
from support.environments.worker_pythons import OLDEST, TRACED, with_packages
from support.servers.backends import ROOT, start_ours
from support.servers.faults import eventually
from support.servers.otlp import Collector
from support.servers.process import ServerProcess
from support.wire import csv, get, post
from support.zoo import Zoo
from support.zoo.registry import ModelFolder, copy_hooks

TRAIN = """\
import pickle, sys
import numpy as np, pandas as pd
from sklearn.linear_model import Ridge
rows = pd.DataFrame(np.random.RandomState(7).uniform(-5, 5, (60, 2)), columns=["a", "b"])
model = Ridge().fit(rows, rows["a"] * 3 - rows["b"] + 1)
pickle.dump(model, open(sys.argv[1], "wb"))
values = model.predict(pd.DataFrame({"a": [1.5, -3.0], "b": [2.0, 0.25]}))
print(*(round(value, 10) for value in values.tolist()), sep=",")
"""
ROWS = "a,b\n1.5,2\n-3,0.25\n"
ANY_PYDANTIC = ModelFolder("any_pydantic", lambda _: None, "regression")
PREDICTED = b'{"predictions":[2.0,-6.125]}'
"""Of the folder ``any_pydantic`` for ``ROWS``."""
METADATA = "name: {name}\ntype: inference\ntargetType: {target}\n"
ECHO = """\
def load_model(code_dir):
    return 1


def score_unstructured(model, data, query, **kwargs):
    return data
"""
SERVERS_OWN = ("litestar", "uvicorn", "httptools", "multipart", "strictyaml", "psutil", "opentelemetry", "pytest")

Serve = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def oldest() -> Path:
    return with_packages("3.8", *OLDEST)


@pytest.fixture
def serve_folder(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """``serve_folder(path, target, python, env={...})``."""
    servers = []

    def start(path: Path, target: str, python: Path, **options: object) -> ServerProcess:
        folder = ModelFolder(path.name, lambda _: None, target)
        arguments = ["--worker-python", str(python), "--logging-level", "info"]
        server = start_ours(folder, path, tmp_path / "server.log", arguments=arguments, **options)  # type: ignore[arg-type]
        servers.append(running(server))
        return servers[-1].__enter__()

    yield start
    for server in servers:
        server.__exit__(None, None, None)


def evaluated(server: ServerProcess, expression: str) -> str:
    """What the ``unstructured`` folder's hook makes of ``expression``."""
    answer = server.send(post(f"/predictUnstructured/?do={quote(f'str({expression})')}", b"x", "text/plain"))
    assert answer.status == 200, answer
    return answer.body.decode()


def found(module: str) -> str:
    return f"__import__('importlib.util').util.find_spec('{module}') is not None"


def test_a_model_of_another_scikit_learn(tmp_path: Path, oldest: Path, serve_folder: Serve) -> None:
    """Trained there, served from there, by the oldest supported msgspec, pandas and numpy; batched and recycled."""
    folder = tmp_path / "model"
    folder.mkdir()
    command = [str(oldest / "bin" / "python"), "-c", TRAIN, str(folder / "model.pkl")]
    expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    env = {
        "DRUM_BATCH_MAX_ROWS": "64",
        "DRUM_BATCH_MAX_WAIT_MS": "20",
        "DRUM_UVICORN_MAX_REQUESTS": "5",
        "DRUM_UVICORN_MAX_REQUESTS_JITTER": "0",
    }
    server = serve_folder(folder, "regression", oldest, env=env)
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(server.send, [csv(ROWS)] * 120))
    assert {answer.body for answer in answers} == {f'{{"predictions":[{expected}]}}'.encode()}
    recycled = "executor_restarts"
    eventually(lambda: server.send(get("/stats/")).json()[recycled].get("max_requests", 0) >= 1, "a new worker", 60)
    assert "(Python 3.8." in server.output()


def test_shortcuts_of_an_old_scikit_learn(oldest: Path) -> None:
    """Direct and merged predictions of mixed pipelines have the bits of the models' own there, too."""
    command = [
        str(oldest / "bin" / "python"),
        "-B",
        str(ROOT / "tests" / "support" / "predictors" / "oldest_sklearn.py"),
    ]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "scikit-learn 1.0.2" in done.stdout


def test_what_the_model_sees(serve: Serve, oldest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own environment, as it would be without us, and of the server's nothing but this package."""
    monkeypatch.setenv("VIRTUAL_ENV", "/of/the/server")
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    server = serve("unstructured", env={"DRUM_WORKER_PYTHON": str(oldest)})
    assert evaluated(server, "sys.version_info[:2]") == "(3, 8)"
    assert evaluated(server, "sys.prefix") == str(oldest)
    assert evaluated(server, "__import__('pydantic').VERSION").startswith("1.")
    assert evaluated(server, "'VIRTUAL_ENV' in __import__('os').environ") == "False"
    assert evaluated(server, "__import__('shutil').which('python')") == str(oldest / "bin" / "python")
    assert {module: evaluated(server, found(module)) for module in SERVERS_OWN} == dict.fromkeys(SERVERS_OWN, "False")
    assert evaluated(server, found("drum_litestar")) == "True"
    path: list[str] = eval(evaluated(server, "sys.path"))
    assert not [entry for entry in path if entry.startswith(sys.prefix) or entry == ""]
    assert evaluated(server, "[each for each in sys.meta_path if 'boot' in repr(each)]") == "[]"


def test_metadata_without_a_yaml_parser(tmp_path: Path, oldest: Path, serve_folder: Serve) -> None:
    """``model-metadata.yaml`` is read by the server, at every reload; one that is broken leaves the old model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "custom.py").write_text(ECHO)
    (folder / "model-metadata.yaml").write_text(METADATA.format(name="first", target="unstructured"))
    server = serve_folder(folder, "unstructured", oldest)

    def name() -> str:
        found: str = server.send(get("/info/")).json()["modelMetadata"]["name"]
        return found

    assert name() == "first"
    (folder / "model-metadata.yaml").write_text(METADATA.format(name="second", target="unstructured"))
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: name() == "second", "the new metadata", 60)
    (folder / "model-metadata.yaml").write_text("name: [")
    server.process.send_signal(signal.SIGHUP)
    server.wait_output("Reloading the model failed", 60)
    assert name() == "second"
    assert server.send(post("/predictUnstructured/", b"x", "text/plain")).body == b"x"


def test_traces_without_opentelemetry_there(serve: Serve, oldest: Path) -> None:
    """The request has its span; the log says once how the model's process would get its own."""
    with Collector() as collector:
        env = {"DRUM_WORKER_PYTHON": str(oldest), "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        server = serve("unstructured", env={**env, "OTEL_BSP_SCHEDULE_DELAY": "100"})
        assert evaluated(server, "1 + 1") == "2"
        collector.wait_for(lambda seen: "drum.predictUnstructured" in seen.names())
    assert "drum.model.duration_ms" not in collector.span("drum.predictUnstructured")["attributes"]
    assert f"{oldest}/bin/python -m pip install opentelemetry-sdk" in server.output()


def test_drums_predictor(tmp_path: Path, python_with_drum: Path) -> None:
    """``--predictor drum`` in an interpreter that has datarobot-drum; the server's own need not."""
    copy_hooks("any_pydantic", tmp_path)
    arguments = ["--worker-python", str(python_with_drum), "--predictor", "drum", "--logging-level", "info"]
    with running(start_ours(ANY_PYDANTIC, tmp_path, tmp_path / "server.log", arguments=arguments)) as server:
        assert server.send(csv(ROWS)).body == PREDICTED
        assert f"Model workers run in {python_with_drum}" in server.output()
        assert "Predictor: drum (asked for)" in server.output()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_as_another_user(zoo: Zoo) -> None:
    """A system Python of this version, which everybody may run, over the packages that the tests have."""
    system = Path(f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        if not system.exists():
            pytest.skip(f"there is no {system}")
        site = home / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        site.mkdir(parents=True)
        (home / "venv" / "bin").mkdir()
        (home / "venv" / "bin" / "python").symlink_to(system)
        (home / "venv" / "pyvenv.cfg").write_text(f"home = {system.parent}\n")
        (site / "of-the-tests.pth").write_text(sysconfig.get_path("purelib"))
        account = pwd.getpwnam("nobody")
        readable = subprocess.run(
            [str(home / "venv" / "bin" / "python"), "-c", "import pandas"],
            user=account.pw_uid, group=account.pw_gid, capture_output=True, check=False, cwd="/",
        )  # fmt: skip
        if readable.returncode:
            pytest.skip("the user 'nobody' cannot read the packages of this environment")
        folder = zoo["unstructured"][0]
        folder.build(home)
        env = {"DRUM_WORKER_USER": "nobody"}
        server = start_ours(folder, home, home / "log", arguments=["--worker-python", str(home / "venv")], env=env)
        with running(server):
            assert evaluated(server, "__import__('os').getuid()") == str(account.pw_uid)


@pytest.mark.slow
@pytest.mark.parametrize("pydantic", ["1", "2"])
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def test_every_python(tmp_path: Path, version: str, pydantic: str) -> None:
    """With traces of both processes, by the SDK that is there, sent when the processes end."""
    specifier = "pydantic<2" if pydantic == "1" else "pydantic>=2"
    python = with_packages(version, *TRACED, specifier)
    copy_hooks("any_pydantic", tmp_path)
    arguments = ["--worker-python", str(python), "--logging-level", "info"]
    with Collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "DRUM_TRACE_STEPS": "true"}
        env["OTEL_BSP_SCHEDULE_DELAY"] = "3600000"
        with running(
            start_ours(ANY_PYDANTIC, tmp_path, tmp_path / "server.log", arguments=arguments, env=env)
        ) as server:
            assert server.send(csv(ROWS)).body == PREDICTED
        assert collector.span("model")["trace_id"] == collector.span("drum.invocations")["trace_id"]
        assert "drum.model.duration_ms" in collector.span("drum.invocations")["attributes"]
    assert f"custom.py sees pydantic {pydantic}." in server.output()
    assert f"(Python {version}." in server.output()
