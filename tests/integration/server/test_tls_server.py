"""The real server under TLS: results of a scan, and a handshake without data."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.servers.backends import ROOT, console_script
from support.servers.certificates import Pair, make_pair
from support.servers.process import ServerProcess, free_port
from support.zoo import Zoo

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")

HANDSHAKE_LIMIT = 4.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "server")


@pytest.fixture(scope="module")
def port(zoo: Zoo, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, path = zoo["unstructured"]
    port = free_port()
    command = [console_script(), "server", "--address", f"127.0.0.1:{port}", *folder.command_line(path)]
    env = {
        "DRUM_SSL_CERTFILE": pair.cert,
        "DRUM_SSL_KEYFILE": pair.key,
        "DRUM_UVICORN_HEADER_TIMEOUT": str(HANDSHAKE_LIMIT),
    }
    server = ServerProcess(command, port=port, log=tmp_path_factory.mktemp("log") / "server.log", env=env)
    try:
        wait(lambda: ask(port, pair, "/readyz") == 200)
        yield port
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ask(port: int, pair: Pair, path: str) -> int:
    """Return the status of a GET; 0 while the port is closed."""
    context = ssl.create_default_context(cafile=pair.cert)
    connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
    except ConnectionError:
        return 0
    finally:
        connection.close()
    assert response.getheader("strict-transport-security") == "max-age=31536000; includeSubDomains"
    return response.status


def test_a_scan_finds_only_configured_protocols_and_ciphers(port: int) -> None:
    scan = subprocess.run(
        [str(ROOT / "benchmarks" / "costs" / "tls_scan.sh"), f"127.0.0.1:{port}"],
        capture_output=True, text=True, timeout=150, check=False,
    )  # fmt: skip
    print(scan.stdout)
    assert scan.returncode == 0, scan.stdout
    for version, verdict in (
        ("tls1", "refused"),
        ("tls1_1", "refused"),
        ("tls1_2", "accepted"),
        ("tls1_3", "accepted"),
    ):
        assert f"  {version}: {verdict}" in scan.stdout
    assert "  ECDHE-RSA-AES256-GCM-SHA384" in scan.stdout


def test_a_silent_handshake_is_closed_in_time(port: int, pair: Pair) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as silent:
        assert ask(port, pair, "/livez") == 200
        assert silent.recv(1) == b""


def test_plain_http_on_the_tls_port_is_closed(port: int, pair: Pair) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP/1.1 200")
    assert ask(port, pair, "/livez") == 200


def test_a_port_in_use_is_one_clear_line(port: int, zoo: Zoo) -> None:
    folder, path = zoo["unstructured"]
    command = [console_script(), "server", "--address", f"127.0.0.1:{port}", *folder.command_line(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_certificate_is_the_given_one(port: int, pair: Pair) -> None:
    shown = ssl.get_server_certificate(("127.0.0.1", port))
    assert shown.split() == Path(pair.cert).read_text().split()
