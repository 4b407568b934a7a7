"""The bad-input matrix: malformed and hostile requests over raw sockets, to a real server with a model worker.

For each case: the expected statuses or a closed connection, never a 5xx of ours, and the next request on a new
connection is served. At the end the HTTP process is as large as after the first round. ``pytest -rA`` of this file
shows the table of observed results.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.hostile import CASES, Case, converse
from support.hostile.bodies import FIELD_LIMIT, LIMIT
from support.hostile.framing import CSV
from support.hostile.tensors import MODEL
from support.hostile.timing import LIMIT as CLIENT_TIMEOUT
from support.servers.backends import start_ours
from support.servers.fleet import require
from support.servers.process import ServerProcess
from support.wire import get, post
from support.zoo import ModelFolder, Zoo

SETTINGS = {
    "DRUM_UVICORN_HEADER_TIMEOUT": str(CLIENT_TIMEOUT),
    "DRUM_UVICORN_BODY_TIMEOUT": str(CLIENT_TIMEOUT),
    "DRUM_FASTAPI_MAX_UPLOAD_SIZE": str(LIMIT),
    "DRUM_FORM_MAX_FIELD_SIZE": str(FIELD_LIMIT),
    "DRUM_SPOOL_THRESHOLD": "65536",
    "DRUM_CLIENT_ERRORS_4XX": "true",
    "DRUM_MODEL_NAME": MODEL,
}
GROWTH = 12 << 20
"""Bytes that the HTTP process may grow by from the end of the first round to that of the last one."""

INJECTING = """
HEADERS = {"type": "text/plain\\r\\nX-Injected: 1", "charset": "utf8\\r\\nX-Injected: 1", "nul": "text/plain\\x00"}

def load_model(code_dir):
    return "none"

def score_unstructured(model, data, query, **kwargs):
    text = data.decode() if isinstance(data, bytes) else data
    return "x", {"charset": HEADERS["charset"]} if text == "charset" else {"mimetype": HEADERS[text]}
"""


@contextlib.contextmanager
def serving(folder: ModelFolder, path: Path, log: Path, env: dict[str, str]) -> Iterator[ServerProcess]:
    server = start_ours(folder, path, log, env={"DRUM_SPOOL_DIR": str(log.parent), **env})
    try:
        server.wait_ready()
        yield server
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="module")
def server(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    require("regression_two")
    log = tmp_path_factory.mktemp("matrix") / "server.log"
    with serving(*zoo["regression_two"], log, SETTINGS) as server:
        yield server
    assert "Unhandled exception" not in log.read_text()  # of the server; a model's own are logged with DRUM's text
    assert "Exception in ASGI" not in log.read_text()
    assert not [path for path in log.parent.rglob("*") if path.is_file() and path != log]  # spool files


def check(server: ServerProcess, case: Case) -> None:
    outcome = converse(server.port, case.steps)
    print(f"{case.name}: {outcome}")
    assert case.allows(str(outcome))
    for response in outcome.responses:
        assert response.status < 500 or response.body.startswith(b'{"message":"ERROR: ')
        assert "x-injected" not in response.headers
        request_id = response.headers.get("x-request-id", "")
        assert len(request_id) <= 128
        assert '"' not in request_id


def good_request(server: ServerProcess) -> None:
    answer = server.send(post("/predict/", CSV, "text/csv"))
    assert answer.status == 200, answer.body


def rss(server: ServerProcess) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)
def test_case(server: ServerProcess, case: Case) -> None:
    check(server, case)
    good_request(server)


def test_memory_is_back_at_its_baseline(server: ServerProcess) -> None:
    quick = [case for case in CASES.values() if not case.slow]
    for case in quick:
        check(server, case)
    baseline = rss(server)
    for case in quick * 2:
        check(server, case)
    growth = rss(server) - baseline
    print(f"RSS {baseline >> 20} MB, {growth / (1 << 20):+.1f} MB after two more rounds")
    assert growth < GROWTH
    assert server.send(get("/readyz")).status == 200


def test_a_body_that_costs_too_much_ends_at_its_deadline(zoo: Zoo, tmp_path: Path) -> None:
    """pandas needs half a minute for 30,000 columns of one name: the worker is killed at the deadline and replaced."""
    require("regression_two")
    env = {**SETTINGS, "DRUM_CLIENT_REQUEST_TIMEOUT": "5"}
    with serving(*zoo["regression_two"], tmp_path / "server.log", env) as server:
        assert server.send(post("/predict/", b"a," * 30_000 + b"a\n1\n", "text/csv")).status == 504
        assert server.send(get("/livez")).status == 200
        server.wait_status(200)
        good_request(server)


@pytest.mark.parametrize("kind", ["type", "charset", "nul"])
def test_a_hook_cannot_inject_headers(kind: str, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "custom.py").write_text(INJECTING)
    folder = ModelFolder("injecting", lambda path: None, "unstructured")
    with serving(folder, model, tmp_path / "server.log", {}) as server:
        outcome = converse(server.port, (post_unstructured(kind),))
    assert str(outcome) == "500"  # a failure of the model, with DRUM's text
    assert outcome.responses[0].body.startswith(b'{"message":"ERROR: ')
    assert "x-injected" not in outcome.responses[0].headers


def post_unstructured(text: str) -> bytes:
    head = f"POST /predictUnstructured/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(text)}\r\n\r\n"
    return (head + text).encode()
