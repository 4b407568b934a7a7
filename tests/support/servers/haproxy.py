"""A real HAProxy in front of several servers, which asks each for its readiness and keeps connections alive."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.servers.faults import eventually
from support.servers.process import free_port

CONFIGURATION = """\
global
    maxconn 4000
    stats socket {folder}/stats.sock level user
defaults
    mode http
    timeout connect 10s
    timeout client 100s
    timeout server 100s
    timeout check 10s
    retries 0
frontend clients
    bind 127.0.0.1:{port}
    default_backend servers
backend servers
    balance roundrobin
    http-reuse {reuse}
    option httpchk GET {probe}
    http-check expect status 200
    default-server check inter {interval} fall 1 rise 1
"""
"""``retries 0``: a connection that a server refuses is a failed request, and not tried again where nobody sees it."""


def program() -> str | None:
    """The command; None where it is not installed."""
    return shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")


class HAProxy:
    """The running proxy. Servers have the names ``s0``, ``s1``, ... in the order of their ports."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._socket = folder / "stats.sock"

    def _states(self) -> dict[str, str]:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self._socket))
            asked.sendall(b"show stat\n")
            answer = asked.makefile().read()
        rows = [line.split(",") for line in answer.splitlines() if line.startswith("servers,s")]
        return {row[1]: row[17] for row in rows}

    def wait_up(self, *numbers: int) -> None:
        """Return when the proxy sends requests to these servers."""
        self._wait("UP", numbers)

    def wait_down(self, *numbers: int) -> None:
        """Return when it sends them none."""
        self._wait("DOWN", numbers)

    def _wait(self, state: str, numbers: Sequence[int]) -> None:
        eventually(lambda: all(self._states()[f"s{each}"].startswith(state) for each in numbers), f"{numbers}: {state}")


@contextlib.contextmanager
def haproxy(
    folder: Path, ports: Sequence[int], *, reuse: str = "safe", probe: str = "/readyz", interval: str = "100ms"
) -> Iterator[HAProxy]:
    """HAProxy over the servers on ``ports``, while it runs. Skips the test, with the reason, where it is not installed.

    ``reuse``: ``safe``, the default of HAProxy, or ``never``: a client's connection has one to a server of its own.
    ``probe``: the path of readiness, which each server is asked for each ``interval``.
    """
    command = program()
    if command is None:
        pytest.skip("needs haproxy (Debian: apt-get install haproxy)")
    port = free_port()
    lines = [f"    server s{number} 127.0.0.1:{each}\n" for number, each in enumerate(ports)]
    configuration = folder / "haproxy.cfg"
    head = CONFIGURATION.format(folder=folder, port=port, reuse=reuse, probe=probe, interval=interval)
    configuration.write_text(head + "".join(lines))
    with (
        (folder / "haproxy.log").open("wb") as log,
        subprocess.Popen([command, "-db", "-f", str(configuration)], stdout=log, stderr=log) as process,
    ):
        try:
            proxy = HAProxy(folder, port)
            eventually((folder / "stats.sock").exists, "HAProxy listens")
            yield proxy
        finally:
            process.kill()
