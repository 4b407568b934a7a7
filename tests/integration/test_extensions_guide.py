"""Every example of the migration guide, run by a real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.servers.backends import ROOT, DrumOracle, console_script
from support.servers.process import ServerProcess, free_port
from support.wire import csv, get, post_json

GUIDE = ROOT / "docs" / "migrating-extensions.md"
BLOCKS = re.findall(r"```python\n(# (custom_\w+\.py)(?:: ([^\n]*))?\n.*?)```", GUIDE.read_text(), re.DOTALL)
EXAMPLES = {title: code for code, name, title in BLOCKS if name == "custom_litestar.py"}
CUSTOM = """\
import pandas as pd

def load_model(code_dir):
    return 1.0

def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": [model] * len(data)})
"""
ROWS = "a,b\n1,2\n"

Serve = Callable[..., ServerProcess]


@pytest.fixture
def serve_folder(tmp_path: Path) -> Iterator[Serve]:
    """``serve_folder({"custom_litestar.py": code}, env={...})``: a ready server over a folder with these files."""
    servers: list[ServerProcess] = []

    def start(
        files: dict[str, str], *arguments: str, ready: bool = True, env: dict[str, str] | None = None
    ) -> ServerProcess:
        folder = tmp_path / "model"
        for name, text in {"custom.py": CUSTOM, **files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        port = free_port()
        command = [console_script(), "server", "-cd", str(folder), "--address", f"127.0.0.1:{port}"]
        command += ["--target-type", "regression", "--logging-level", "info", *arguments]
        server = ServerProcess(command, port=port, log=tmp_path / "log", env=env)
        server.ready_probe = get((env or {}).get("URL_PREFIX", "") + "/readyz")
        servers.append(server)
        if ready:
            server.wait_ready()
        return server

    yield start
    for server in servers:
        running = server.process.poll() is None
        if running:
            assert server.stop() == 0, server.output()


def example(title: str) -> dict[str, str]:
    return {"custom_litestar.py": EXAMPLES[title]}


def test_every_example_has_a_test() -> None:
    assert set(EXAMPLES) == {"authentication", "custom route", "request logging", "rate limiting", "everything else"}
    for code, name, _ in BLOCKS:
        compile(code, name, "exec")


def test_authentication(serve_folder: Serve) -> None:
    server = serve_folder(example("authentication"), env={"MODEL_KEY": "hush"})
    assert server.send(get("/ping/")).status == 200
    refused = server.send(csv(ROWS))
    assert refused.status == 401
    assert refused.json() == {"message": "Wrong or missing X-Model-Key"}
    assert server.send(csv(ROWS).with_headers(("X-Model-Key", "wrong"))).status == 401
    answer = server.send(csv(ROWS).with_headers(("X-Model-Key", "hush")))
    assert answer.status == 200
    assert answer.json() == {"predictions": [1.0]}


def test_custom_route(serve_folder: Serve) -> None:
    server = serve_folder(example("custom route"), env={"URL_PREFIX": "/p"})
    answer = server.send(post_json("/p/feedback/17", {"stars": 5}))
    assert answer.status == 201
    assert answer.json() == {"prediction": "17", "stars": 5}
    assert answer.header("X-Request-ID")
    bad = server.send(post_json("/p/feedback/17", {"stars": "many"}))
    assert bad.status == 400
    assert "message" in bad.json()


def test_request_logging(serve_folder: Serve) -> None:
    server = serve_folder(example("request logging"))
    assert server.send(csv(ROWS).with_headers(("X-Request-ID", "abc"))).status == 200
    assert server.send(get("/nowhere")).status == 404
    assert server.stop() == 0
    lines = [line for line in server.output().splitlines() if "WARNING requests:" in line]
    assert any(re.search(r"POST /predict/ -> 200 in 0\.\d{4} s \[abc\]", line) for line in lines), server.output()
    assert any("GET /nowhere -> 404" in line for line in lines)


def test_rate_limiting(serve_folder: Serve) -> None:
    server = serve_folder(example("rate limiting"))
    assert [server.send(csv(ROWS)).status for _ in range(4)] == [200, 200, 200, 429]
    assert server.send(get("/ping/")).status == 200
    assert server.send(get("/")).status == 200


def test_everything_else(serve_folder: Serve) -> None:
    server = serve_folder(example("everything else"))
    answer = server.send(get("/beats"))
    assert answer.json() == {"alive": True, "process": "http"}
    assert answer.header("X-Served-By") == "my model"
    assert server.send(csv(ROWS)).header("X-Served-By") == "my model"
    assert server.send(get("/nowhere")).json() == {"message": "There is nothing at /nowhere"}
    closed = server.send(csv(ROWS).with_headers(("X-Maintenance", "1")))
    assert (closed.status, closed.json()) == (503, {"message": "Back soon"})
    assert server.stop() == 0
    assert "cleaned up" in server.output()


@pytest.mark.slow
def test_flask_originals_on_drum(drum_oracle: DrumOracle, tmp_path: Path) -> None:
    """What the guide says a Flask file did is what it does there (Flask-Limiter's example needs its package)."""
    originals = [code for code, name, _ in BLOCKS if name == "custom_flask.py" and "flask_limiter" not in code]
    authentication, route, logging = originals
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "custom.py").write_text(CUSTOM)
    (folder / "artifact.pkl").write_bytes(b"")
    checks: list[tuple[str, Callable[[ServerProcess], None]]] = [
        (authentication, lambda drum: _equal(drum.send(csv(ROWS)).status, 401)),
        (route, lambda drum: _equal(drum.send(post_json("/feedback/17", {"stars": 5})).json()["stars"], 5)),
        (logging, lambda drum: _equal(drum.send(csv(ROWS)).status, 200)),
    ]
    for number, (code, check) in enumerate(checks):
        (folder / "custom_flask.py").write_text(code)
        port = free_port()
        from support.servers.backends import DrumProcess

        command = [str(drum_oracle.python.parent / "drum"), "server", "-cd", str(folder), "--target-type", "regression"]
        env = {
            "MLOPS_RUNTIME_PARAM_DRUM_SERVER_TYPE": '{"type":"string","payload":"werkzeug"}',
            "DRUM_LITESTAR_HOOK": "0",
            "MODEL_KEY": "hush",
        }
        drum = DrumProcess([*command, "--address", f"127.0.0.1:{port}"], port=port, log=tmp_path / f"{number}", env=env)
        try:
            drum.wait_ready()
            check(drum)
        finally:
            drum.stop()
        if code is logging:
            drum.wait_output("POST /predict/ -> 200")


def _equal(got: object, expected: object) -> None:
    assert got == expected
