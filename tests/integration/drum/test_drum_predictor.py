"""DRUM's own predictors in our model workers: a server of ours in an environment that has the real datarobot-drum."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.servers.backends import OF_THE_CHECKOUT, console_script
from support.servers.llm import llm, sidecar_options
from support.servers.process import ServerProcess, clean_environment, free_port
from support.servers.upstream import Seen, ok, upstream
from support.wire import csv, get, post, post_json, upload

ROWS = "a,b\n1,2\n3,4\n"
SCORE = """\
import pandas as pd
from datarobot_drum import CustomHTTPError
import datarobot_drum.drum.drum  # the real one

def load_model(code_dir): return 2.0
def score(data, model, **kwargs):
    if len(data) == 3: raise CustomHTTPError("three", status_code=418)
    return pd.DataFrame({"Predictions": data["a"] * model})
"""
POJO = """\
import hex.ModelCategory;
import hex.genmodel.GenModel;

public class LinearModel extends GenModel {
  public LinearModel() { super(new String[] {"a", "b"}, new String[][] {null, null, null}, "y"); }
  public ModelCategory getModelCategory() { return ModelCategory.Regression; }
  public boolean isSupervised() { return true; }
  public int nfeatures() { return 2; }
  public int nclasses() { return 1; }
  public String getUUID() { return "1"; }
  public double[] score0(double[] data, double[] preds) {
    preds[0] = 1 + 2 * data[0] + 3 * data[1];
    return preds;
  }
}
"""
R_CODE = """\
load_model <- function(input_dir) readRDS(file.path(input_dir, "model.rds"))
score <- function(data, model, ...) data.frame(Predictions = as.numeric(predict(model, data)))
"""
R_MODEL = "d <- data.frame(a=c(1,2,3,4), b=c(2,1,4,3)); d$y <- 1+2*d$a+3*d$b; saveRDS(lm(y~a+b, d), '%s')"

Serve = Callable[..., ServerProcess]


def find_distribution(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _run(python: Path, code: str) -> bool:
    env = {**clean_environment(), **OF_THE_CHECKOUT}
    return subprocess.run([python, "-c", code], env=env, capture_output=True, check=False).returncode == 0


@pytest.fixture
def serve(python_with_drum: Path, tmp_path: Path) -> Iterator[Serve]:
    """``serve({"custom.py": ...}, "--target-type", ..., env={...})``; with SIGTERM every server must end with 0."""
    with contextlib.ExitStack() as stack:

        def start(files: dict[str, str], *arguments: str, ready: bool = True, env: dict[str, str] | None = None) -> Any:
            folder = tmp_path / "model"
            folder.mkdir(exist_ok=True)
            for name, text in files.items():
                (folder / name).write_text(text)
            port = free_port()
            command = [str(python_with_drum), "-m", "drum_litestar", "server", "-cd", str(folder)]
            command += ["--address", f"127.0.0.1:{port}", "--logging-level", "info", *arguments]
            settings = {**OF_THE_CHECKOUT, **(env or {})}
            server = ServerProcess(command, port=port, log=tmp_path / "log", env=settings)
            stack.callback(_end, server)
            if ready:
                server.wait_ready()
            return server

        yield start


def _end(server: ServerProcess) -> None:
    if server.process.poll() is None:
        assert server.stop() == 0, server.output()


def children(server: ServerProcess) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children(recursive=True)


def until(condition: Callable[[], Any], what: Callable[[], str], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what()
        time.sleep(0.05)


def test_python_model(serve: Serve) -> None:
    server = serve({"custom.py": SCORE}, "--target-type", "regression", "--predictor", "drum")
    server.wait_output("DRUM predictor (PythonPredictor), target type regression; chosen because: asked for")
    assert server.send(csv(ROWS)).body == b'{"predictions":[2.0,6.0]}'
    assert server.send(upload(ROWS)).body == b'{"predictions":[2.0,6.0]}'
    (name,) = server.send(get("/v2/models")).json()["models"]
    columns = {"inputs": [{"name": "a", "datatype": "FP64", "shape": [2], "data": [1, 3]}]}
    inferred = server.send(post_json(f"/v2/models/{name}/infer", columns)).json()
    assert inferred["outputs"][0]["data"] == [2.0, 6.0]
    teapot = server.send(csv("a\n1\n1\n1\n"))
    assert (teapot.status, teapot.body) == (418, b'{"message":"three"}\n')
    assert teapot.header("X-Drum-User-Http-Error") == "true"
    failed = server.send(csv("c\n1\n"))
    assert failed.status == 500
    assert failed.json() == {
        "message": "ERROR: Model 'score' hook failed to make predictions. Exception: KeyError('a')"
    }
    assert server.send(get("/capabilities/")).json()["supported_payload_formats"] == {"csv": None, "mtx": None}
    assert server.send(get("/info/")).json()["predictor"] is None
    assert server.send(post_json("/chat/completions", {"messages": []})).status == 404


def test_python_binary_and_unstructured_and_transform(serve: Serve) -> None:
    proba = SCORE.split("def score")[0] + (
        "def score(data, model, **kwargs): return pd.DataFrame({'no': [0.25] * len(data), 'yes': [0.75] * len(data)})\n"
    )
    labels = ["--positive-class-label", "yes", "--negative-class-label", "no", "--predictor", "drum"]
    server = serve({"custom.py": proba}, "--target-type", "binary", *labels)
    assert server.send(csv("a\n1\n")).body == b'{"predictions":[{"no":0.25,"yes":0.75}]}'
    _end(server)

    hook = "def load_model(d): return 1\ndef score_unstructured(model, data, query, **kw): return data + query['x']\n"
    server = serve({"custom.py": hook}, "--target-type", "unstructured", "--predictor", "drum")
    answer = server.send(post("/predictUnstructured/?x=1&x=2", "hi", "text/plain"))
    assert (answer.body, answer.header("Content-Type")) == (b"hi1", "text/plain; charset=utf-8")
    _end(server)

    hook = "def load_model(d): return 1\ndef transform(data, model): return data * 2\n"
    server = serve({"custom.py": hook}, "--target-type", "transform", "--predictor", "drum")
    body = server.send(upload("a,b\n1,2\n", target="/transform/")).body
    assert b'name="X.transformed"' in body
    assert b"a,b\r\n2,4" in body


def test_model_that_does_not_load(serve: Serve) -> None:
    server = serve(
        {"custom.py": "def load_model(d): raise ValueError('no')\ndef score(data, model, **kw): ...\n"},
        "--target-type", "regression", "--predictor", "drum", ready=False,
    )  # fmt: skip
    assert server.wait_exit() == 1
    assert "'load_model' hook failed to load the model. Exception: ValueError('no')" in server.output()


@pytest.mark.parametrize("kind", ["nim", "vllm"])
def test_llm_sidecar(serve: Serve, kind: str) -> None:
    with upstream() as up:
        up.answer = llm
        arguments = ["--target-type", "textgeneration", "--gpu-predictor", kind, "--sidecar"]
        server = serve({"custom.py": "# nothing\n"}, *arguments, env=sidecar_options(up))
        assert server.send(get("/health/")).json() == {"message": "ready"}
        assert server.send(csv("promptText\nyou\nme\n")).json() == {"predictions": ["echo you", "echo me"]}
        assert server.send(csv("x\ny\n")).status == 500
        messages = [{"role": "user", "content": "hi there"}]
        answer = server.send(post_json("/chat/completions", {"messages": messages, "datarobot_association_id": "i1"}))
        assert answer.json()["choices"][0]["message"]["content"] == "echo hi there"
        assert answer.json()["datarobot_association_id"] == "i1"
        assert answer.json()["model"] == "llm-1"
        streamed = server.send(post_json("/v1/chat/completions", {"messages": messages, "stream": True}))
        assert streamed.body.count(b"data: {") == 3
        assert streamed.body.endswith(b"data: [DONE]\n\n")
        assert [model["id"] for model in server.send(get("/models")).json()["data"]] == ["llm-1"]
        assert server.send(get("/nim/v1/models?x=1")).json()["data"][0]["id"] == "llm-1"
        assert up.seen[-1].target == "/v1/models?x=1"
        capabilities = server.send(get("/capabilities/")).json()
        assert capabilities == {"supported_methods": {"chat": True}, "supported_payload_formats": {"csv": None}}
        assert "predictor" not in server.send(get("/info/")).json()
        refused = server.send(upload("%%MatrixMarket", "x.mtx"))
        assert refused.status == 422


def test_llm_sidecar_that_is_down(serve: Serve) -> None:
    env = {"OPENAI_HOST": "127.0.0.1", "OPENAI_PORT": str(free_port()), "TARGET_NAME": "answer"}
    arguments = ["--target-type", "textgeneration", "--gpu-predictor", "nim", "--sidecar"]
    server = serve({"custom.py": "# nothing\n"}, *arguments, ready=False, env=env)
    server.ready_probe = get("/startupz")
    server.wait_ready()
    probe = server.send(get("/ping/"))
    assert probe.status == 503
    assert probe.json()["message"].startswith("NIM server is not ready: ")
    assert server.send(csv("promptText\nyou\n")).status == 500
    assert server.send(get("/directAccess/v1/models")).status == 502
    assert server.send(get("/livez")).status == 200


def test_dead_sidecar_restarts_the_worker(serve: Serve) -> None:
    """Only the worker: the server stays, and serves again with the sidecar."""
    with upstream() as up:
        up.answer = llm
        watch = {"USE_NIM_WATCHDOG": "true", "NIM_WATCHDOG_MAX_ATTEMPTS": "1", "NIM_WATCHDOG_REQUEST_TIMEOUT": "5"}
        arguments = ["--target-type", "textgeneration", "--gpu-predictor", "nim", "--sidecar"]
        server = serve({"custom.py": "# nothing\n"}, *arguments, env=sidecar_options(up, **watch))
        before = {child.pid for child in children(server)}
    until(lambda: "is dead: the worker exits" in server.output(), server.output)
    until(lambda: (now := {child.pid for child in children(server)}) and not now & before, server.output)
    assert server.process.poll() is None


CHAT = """\
from types import SimpleNamespace as N
def load_model(code_dir): return 1
def chat(params, model):
    return N(object="chat.completion", choices=[N(message=N(content="hello"))])
"""
DEPLOYMENT_ID = "65a000000000000000000001"


def deployment(collects: bool) -> Callable[[Seen, socket.socket], None]:
    """The part of DataRobot's API that says how a deployment reports."""

    def answer(seen: Seen, sock: socket.socket) -> None:
        found: dict[str, Any] = {"id": DEPLOYMENT_ID, "model": {"prompt": "question"}}
        if "version" in seen.target:
            found = {"major": 2, "minor": 99, "versionString": "2.99.0"}
        elif "settings" in seen.target:
            found = {"featureDrift": {"enabled": False}, "targetDrift": {"enabled": False}}
            found["predictionsDataCollection"] = {"enabled": collects}
        ok(json.dumps(found).encode(), "Content-Type: application/json")(seen, sock)

    return answer


@pytest.mark.parametrize("predictor", ["native", pytest.param("drum", marks=pytest.mark.slow)])
@pytest.mark.parametrize("collects", [True, False])
def test_chat_reports_are_as_the_deployment_has_it(
    serve: Serve, tmp_path: Path, predictor: str, collects: bool
) -> None:
    """The prompt's name, and whether prompts and answers are reported at all (contract, 4.13)."""
    spool = tmp_path / "spool"
    spool.mkdir()
    with upstream() as up:
        up.answer = deployment(collects)
        words = ["--target-type", "textgeneration", "--predictor", predictor, "--monitor", "--allow-dr-api-access"]
        words += ["--monitor-settings", f"spooler_type=filesystem;directory={spool}", "--model-id", "65b" + "0" * 21]
        words += ["--deployment-id", DEPLOYMENT_ID, "--webserver", up.url, "--api-token", "t"]
        server = serve({"custom.py": CHAT}, *words, env={"TARGET_NAME": "answer"})
        answer = server.send(post_json("/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}))
        assert answer.status == 200, answer.body
        assert server.send(get("/stats/")).json()["monitoring_reports_lost"] == 0
        _end(server)  # sends what waits
    records = [json.loads(line) for file in sorted(spool.glob("fs_spool*")) for line in file.read_bytes().splitlines()]
    reported = {record["header"]["dataType"]: json.loads(record["data"]) for record in records}
    assert reported["DEPLOYMENT_STATS"]["numPredictions"] == 1
    assert set(reported) == {"DEPLOYMENT_STATS"} | ({"PREDICTIONS_DATA"} if collects else set())
    if collects:
        assert reported["PREDICTIONS_DATA"]["features"] == {"question": ["hi"]}


@pytest.mark.skipif(shutil.which("javac") is None, reason="needs a JDK")
def test_java_model(serve: Serve) -> None:
    server = serve({"LinearModel.java": POJO}, "--target-type", "regression")
    assert server.send(csv(ROWS)).body == b'{"predictions":[9.0,19.0]}'
    assert server.send(get("/info/")).json()["language"] == "java"
    assert server.send(upload("%%MatrixMarket", "x.mtx")).status == 422
    started = children(server)
    assert any("java" in process.name() for process in started)
    _end(server)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in started)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_r_model(serve: Serve, python_with_drum: Path, tmp_path: Path) -> None:
    packages = ";".join(f"r.r('library({name})')" for name in ("caret", "recipes", "devtools"))
    if not _run(python_with_drum, f"import rpy2.robjects as r;{packages}"):
        pytest.skip("needs rpy2, and R with caret, recipes and devtools")
    (tmp_path / "model").mkdir()
    subprocess.run(["Rscript", "-e", R_MODEL % (tmp_path / "model" / "model.rds")], check=True, capture_output=True)
    server = serve({"custom.R": R_CODE}, "--target-type", "regression", ready=False)
    server.wait_ready(150)  # R reads half a CRAN
    answer = server.send(csv(ROWS)).json()["predictions"]
    assert answer == pytest.approx([9.0, 19.0])
    assert server.send(get("/info/")).json()["language"] == "r"


@pytest.mark.skipif(find_distribution("datarobot-drum"), reason="datarobot-drum is installed here")
def test_clear_error_without_drum(tmp_path: Path) -> None:
    (tmp_path / "LinearModel.java").write_text(POJO)
    command = [console_script(), "server", "-cd", str(tmp_path), "--address", f"127.0.0.1:{free_port()}"]
    command += ["--target-type", "regression"]
    env = clean_environment()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert done.returncode == 1
    assert "java model: this needs DRUM's predictors" in done.stderr
    assert "pip install datarobot-drum (and a Java runtime" in done.stderr
