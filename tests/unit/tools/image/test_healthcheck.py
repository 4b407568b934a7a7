"""What the image's health check says of a server in each state."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from drum_litestar.tools.image.healthcheck import _host_and_port, check
from support.servers.certificates import make_pair
from support.servers.process import free_port


class Probe(BaseHTTPRequestHandler):
    """Answers ``/readyz`` with 200, ``/loading/readyz`` with 503, all else with 404."""

    def do_GET(self) -> None:
        status = {"/readyz": 200, "/loading/readyz": 503}.get(self.path, 404)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b'{"message":"OK"}\n' if status == 200 else b"no")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Probe) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("prefix", "ready", "said"),
    [
        ("", True, '/readyz: 200 {"message":"OK"}'),
        ("/", True, '/readyz: 200 {"message":"OK"}'),
        ("/loading", False, "/loading/readyz: 503 no"),
        ("/other/", False, "/other/readyz: 404 no"),
    ],
)
def test_what_the_server_answers(prefix: str, ready: bool, said: str) -> None:
    with listening() as port:
        assert check({"ADDRESS": f"0.0.0.0:{port}", "URL_PREFIX": prefix}) == (ready, said)


def test_probes_on_a_port_of_their_own() -> None:
    """That port has no TLS."""
    with listening() as port:
        environ = {"ADDRESS": f"0.0.0.0:{free_port()}", "DRUM_SSL_CERTFILE": "any"}
        assert check({**environ, "DRUM_PROBE_ADDRESS": f"0.0.0.0:{port}"}) == (True, '/readyz: 200 {"message":"OK"}')
        assert check({**environ, "DRUM_PROBE_ADDRESS": f"127.0.0.1:{port}"})[0]
        assert not check({**environ, "DRUM_PROBE_ADDRESS": ""})[0]


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("", ("127.0.0.1", 8080)),
        ("0.0.0.0", ("127.0.0.1", 8080)),
        ("[::]:8081", ("127.0.0.1", 8081)),
        ("[::1]", ("::1", 8080)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_what_is_asked(address: str, target: tuple[str, int]) -> None:
    assert _host_and_port(address) == target


def test_no_server() -> None:
    ready, said = check({"ADDRESS": f"0.0.0.0:{free_port()}"})
    assert not ready
    assert said.endswith("Connection refused")


def test_tls(tmp_path: Path) -> None:
    made = make_pair(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    with listening(context) as port:
        assert check({"ADDRESS": f"[::]:{port}", "DRUM_SSL_CERTFILE": "any"})[0]
        assert not check({"ADDRESS": f"[::]:{port}"})[0]


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-I", "-m", "drum_litestar.tools.image.healthcheck"]
    with listening() as port:
        monkeypatch.setenv("ADDRESS", f"0.0.0.0:{port}")
        monkeypatch.delenv("URL_PREFIX", raising=False)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, '/readyz: 200 {"message":"OK"}\n')
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
