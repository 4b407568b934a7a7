"""Start-up failures: with the error server every route says why, without it the process says why and ends.

``--against drum`` runs the cases that name no deliberate difference on the real DRUM.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.starts import STARTS, Start
from support.cases import told
from support.servers.backends import console_script, start_drum
from support.servers.process import ServerProcess, free_port
from support.wire import csv, get, post

ERRORS_HERE = (get("/"), get("/ping/"), get("/health/"), csv(b"a\n1\n"), csv(b"a\n1\n", "/transform/"))
ERRORS_TOO = (get("/info/"), get("/models"), post("/v1/chat/completions", b"{}", "application/json"), get("/readyz"))
"""Routes that answer 513 with us and 404 with DRUM (contract, section 8, Q-22)."""


EXITS = frozenset(
    {
        "no target type", "labels that collide", "broken artifact", "load_model raises", "syntax error",
        "schema that makes no sense", "broken deployment config",
    }
)  # fmt: skip
"""Cases of the default run that also end without the error server: one for each place that finds the fault."""

SERVED = EXITS | frozenset(
    {
        "two target types", "binary without labels", "nothing in the folder", "no loadable artifact",
        "labels that are not the model's", "two artifacts", "load_model raises a user error", "import error",
        "two custom.py", "no score_unstructured", "not a task class", "moderation without its package",
    }
)  # fmt: skip
"""Cases of the default run with the error server; it shows the text of the others in the same way."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        quick = EXITS if metafunc.function is test_exit else SERVED
        drum = metafunc.config.getoption("--against") == "drum"
        cases = [
            pytest.param(case, id=case.name, marks=() if drum or case.name in quick else (pytest.mark.slow,))
            for case in STARTS
            if not (drum and case.differs)
        ]
        metafunc.parametrize("case", cases)


@pytest.fixture
def launch(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., tuple[ServerProcess, Path]]:
    """Start the server under test for a :class:`Start` in a fresh folder."""
    against = request.config.getoption("--against")

    def start(case: Start, *more: str) -> tuple[ServerProcess, Path]:
        path = (tmp_path / "model").resolve()
        path.mkdir()
        case.build(path)
        words = [*case.command_line(path), *more]
        log = tmp_path / "server.log"
        if against == "drum":
            server: ServerProcess = start_drum(request.getfixturevalue("drum_oracle"), words, log, case.env)
        else:
            port = free_port()
            command = [console_script(), "server", "--address", f"127.0.0.1:{port}", *words]
            server = ServerProcess(command, port=port, log=log, env=case.env)
        request.addfinalizer(server.kill)
        return server, path

    return start


def test_error_server(
    launch: Callable[..., tuple[ServerProcess, Path]], case: Start, request: pytest.FixtureRequest
) -> None:
    """513 and DRUM's text on the routes of contract 5.1; with us on every other route too, but ``/livez``."""
    server, path = launch(case, "--with-error-server")
    server.ready_probe = get("/ping/")
    server.wait_status(513)
    ours = request.config.getoption("--against") == "ours"
    for each in (*ERRORS_HERE, *(ERRORS_TOO if ours else ())):
        answer = server.send(each)
        assert answer.status == 513
        text = answer.json()["message"]
        assert text.startswith("ERROR: ")
        assert case.says(text.removeprefix("ERROR: "), path), text
        assert answer.header("x_request_id")
        assert answer.header("x-drum-version")
    if ours:
        assert server.send(get("/livez")).status == 200
        assert server.stop() == 0


def test_exit(launch: Callable[..., tuple[ServerProcess, Path]], case: Start) -> None:
    """The exit code of contract 5.2, section 8 (Q-3), and the text for the operator."""
    server, path = launch(case)
    assert server.wait_exit() == case.exit_code
    if not case.like:
        expected = case.text.replace("{dir}", str(path)).strip()
        assert expected.splitlines()[-1] in server.output()


def test_prefix_without_a_slash(
    launch: Callable[..., tuple[ServerProcess, Path]], request: pytest.FixtureRequest
) -> None:
    """A setting that cannot be used: one line, exit code 2 (contract, section 8, Q-20)."""
    if request.config.getoption("--against") == "drum":
        pytest.skip("ours only")
    good = next(case for case in STARTS if case.name == "no target type")
    server, _ = launch(dataclasses.replace(good, env={"URL_PREFIX": "pfx"}))
    assert server.wait_exit() == 2
    assert "URL_PREFIX='pfx' must start with a slash" in server.output()


@pytest.mark.parametrize("prefix", ["/pfx", "/a/b/"])
def test_prefix(serve: Callable[..., ServerProcess], prefix: str) -> None:
    """All routes move below ``URL_PREFIX``, with and without its final slash (contract, 3.1)."""
    base = prefix.rstrip("/")
    server = serve("hooks_regression", env={"URL_PREFIX": prefix})
    data = told("pd.DataFrame({'p': [1.0]})", target=f"{base}/predict/")
    assert server.send(data).body == b'{"predictions":[1.0]}'
    assert server.send(get(f"{base}/ping/")).status == 200
    assert server.send(get(f"{base}/")).status == 200
    assert server.send(get(f"{base}/info/")).status == 200
    assert server.send(get("/ping/")).status == 404
    assert server.send(csv(b"a\n1\n")).status == 404


def test_port_in_use(launch: Callable[..., tuple[ServerProcess, Path]], request: pytest.FixtureRequest) -> None:
    """Exit code 1 and the address in the message."""
    if request.config.getoption("--against") == "drum":
        pytest.skip("ours only")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        folder = next(case for case in STARTS if case.name == "broken artifact")
        server, _ = launch(folder, "--address", address)
        assert server.wait_exit() == 1
        assert str(taken.getsockname()[1]) in server.output()
