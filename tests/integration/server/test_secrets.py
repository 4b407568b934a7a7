"""Secrets that a real server is given, in every possible way, appear in none of its outputs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from support.servers.backends import OF_THE_CHECKOUT, console_script, start_adapter, start_ours
from support.servers.process import ServerProcess, clean_environment
from support.wire import csv, get
from support.zoo import ModelFolder

OPTION, VARIABLE, PARAMETER, OWN, PASSWORD, HEADER = SECRETS = (
    "of-the-option-1", "of-the-variable-2", "of-the-parameter-3", "of-our-own-4", "of-the-url-5", "of-the-header-6",
)  # fmt: skip
SHORT = "zq"
"""Too short for a search in texts; masked where its position marks it as a secret."""
MODEL = """\
import json, logging, os, sys
import pandas as pd

def secrets():
    credential = json.loads(os.environ["MLOPS_RUNTIME_PARAM_MY_CREDENTIAL"])["payload"]["apiToken"]
    headers = os.environ["OTEL_EXPORTER_OTLP_HEADERS"].partition("=")[2]
    own = os.environ["DRUM_API_TOKEN"]
    url = sys.argv[sys.argv.index("--webserver") + 1]
    return " ".join([*sys.argv, os.environ["DATAROBOT_API_TOKEN"], credential, headers, own, url])

def load_model(code_dir):
    logging.getLogger("mine").debug("loading with %s", secrets())
    if "FAIL" in os.environ:
        raise RuntimeError("refused: " + secrets())
    return 1

def score(data, model, **kwargs):
    print("printed", secrets())
    logging.getLogger("mine").warning("logged %s", secrets())
    try:
        raise KeyError(secrets())
    except KeyError:
        logging.getLogger("mine").exception("caught")
    if len(data) == 2:
        raise ValueError("failed with " + secrets())
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
"""
ENVIRONMENT = {
    "DATAROBOT_API_TOKEN": VARIABLE,
    "DRUM_API_TOKEN": OWN,
    "MLOPS_RUNTIME_PARAM_MY_CREDENTIAL": json.dumps(
        {"type": "credential", "payload": {"credentialType": "api_token", "apiToken": PARAMETER}}
    ),
    "OTEL_EXPORTER_OTLP_HEADERS": f"x-team={HEADER}",
    "DRUM_INFO_SERVER": "flask",
}
AUTHORIZED = ("Authorization", f"Bearer {OWN}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    path.mkdir()
    (path / "custom.py").write_text(MODEL)
    return path


def model(*words: str) -> ModelFolder:
    options = ("--api-token", OPTION, "--webserver", f"http://me:{PASSWORD}@127.0.0.1:9", *words)
    return ModelFolder("secrets", lambda _: None, "regression", options)


def nothing_of(text: str) -> None:
    """Fail when ``text`` has a secret, or when nothing in it was masked."""
    assert [secret for secret in SECRETS if secret in text] == []
    assert "*****" in text


def exercise(server: ServerProcess, *, workers: bool = True) -> None:
    """Request everything that could show a secret, and check the command lines of the processes."""
    try:
        server.wait_ready()
        assert server.send(csv("a\n1\n").with_headers(AUTHORIZED)).status == 200
        failed = server.send(csv("a\n1\n2\n").with_headers(AUTHORIZED))
        assert failed.status == 500
        nothing_of(failed.body.decode())
        assert server.send(get(f"/nope?token={VARIABLE}").with_headers(AUTHORIZED)).status == 404
        stats = server.send(get("/stats/").with_headers(AUTHORIZED)).body.decode()
        nothing_of(stats)
        lines = [entry["cmdline"] for entry in json.loads(stats)["drum_info"]]
        (own,) = (line for line in lines if "--api-token" in line)
        assert own[own.index("--api-token") + 1] == "*****"
        assert own[own.index("--webserver") + 1] == "http://*****@127.0.0.1:9"
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert bool(children) is workers
        for child in children:
            assert not [secret for secret in SECRETS if secret in " ".join(child.cmdline())]
        info = json.loads(server.send(get("/info/").with_headers(AUTHORIZED)).body)
        assert info["drumServer"] == "flask"
    finally:
        code = server.stop()
    assert code == 0
    output = server.output()
    nothing_of(output)
    for text in ("printed", "logged", "caught", "Traceback", "failed with"):
        assert text in output


@pytest.mark.parametrize("json_lines", ["false", "true"])
def test_nothing_is_shown_at_any_level(folder: Path, tmp_path: Path, json_lines: str) -> None:
    """Level ``all``: what the lower ones print is part of it."""
    settings = {**ENVIRONMENT, "DRUM_JSON_LOGGING": json_lines, "DRUM_UVICORN_LOG_LEVEL": "trace"}
    server = start_ours(
        model("--logging-level", "all", "--verbose", "--show-stacktrace"), folder, tmp_path / "log", env=settings
    )
    exercise(server)
    if json_lines == "true":
        assert all(isinstance(json.loads(line), dict) for line in server.output().splitlines() if line.startswith("{"))


def test_nothing_is_shown_by_drums_predictor(folder: Path, tmp_path: Path, python_with_drum: Path) -> None:
    words = model("--logging-level", "all", "--verbose", "--show-stacktrace")
    exercise(start_adapter(python_with_drum, words, folder, tmp_path / "log", ENVIRONMENT))


def test_a_short_token_is_masked_by_its_position(folder: Path, tmp_path: Path) -> None:
    short = ModelFolder("short", lambda _: None, "regression", (f"--api-t={SHORT}", "--webserver", "http://127.0.0.1"))
    server = start_ours(short, folder, tmp_path / "log", env={**ENVIRONMENT, "API_TOKEN": "e", "OTHER_TOKEN": "1"})
    try:
        server.wait_ready()
        stats = json.loads(server.send(get("/stats/").with_headers(AUTHORIZED)).body)
        words = stats["drum_info"][0]["cmdline"]
        assert "--api-t=*****" in words
        assert {"server", "--webserver", "http://127.0.0.1", str(folder), "regression"} <= set(words)
        assert f"127.0.0.1:{server.port}" in words
    finally:
        server.stop()


@pytest.mark.parametrize("error_server", [False, True])
def test_a_model_that_cannot_be_loaded_shows_nothing(folder: Path, tmp_path: Path, error_server: bool) -> None:
    words = ("--logging-level", "all", "--show-stacktrace", *(["--with-error-server"] if error_server else []))
    server = start_ours(model(*words), folder, tmp_path / "log", env={**ENVIRONMENT, "FAIL": "1"})
    if error_server:
        server.wait_status(513)
        answer = server.send(csv("a\n1\n").with_headers(AUTHORIZED)).body.decode()
        nothing_of(answer)
        assert "refused: " in answer
        server.stop()
    else:
        assert server.wait_exit() == 1
    nothing_of(server.output())
    assert "refused: " in server.output()


def run(*words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [console_script(), *words],
        env=clean_environment({**OF_THE_CHECKOUT, **env}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_commands_show_nothing(folder: Path) -> None:
    """Tables, reports and errors about the command line and about settings."""
    store = {"DRUM_RATE_LIMIT_ENABLED": "1", "DRUM_RATE_LIMIT_STORE": f"redis://:{PASSWORD}@127.0.0.1:x"}
    settings = {**ENVIRONMENT, **store, "DRUM_SSL_KEYFILE_PASSWORD": VARIABLE}
    options = ("-cd", str(folder), "--address", "127.0.0.1:0", *model().args)
    for words in (
        ("settings",),
        ("settings", "--json", "--describe"),
        ("check", *options),
        ("check", "--json", *options),
        ("server", *options, "--show-stacktrace"),
        ("server", *options[:-4], f"--api-tokn={OPTION}"),
        ("server", *options[:-4], "--api-tokn", OPTION),
        ("server", *options, "--a", OPTION),
        ("server", *options, "--target-type", OPTION),
        ("compare", "--baseline", f"http://me:{PASSWORD}@host", "--shadow"),
        ("compare", "--baseline", "http://a", "--shadow", "--header", f"Bearer {OPTION}"),
    ):
        done = run(*words, env=settings)
        found = [secret for secret in SECRETS if secret in done.stdout + done.stderr]
        assert not found, (words, found, done.stdout, done.stderr)
        assert done.stdout or done.stderr
    assert '"DRUM_API_TOKEN"' in run("settings", "--json", env=settings).stdout
