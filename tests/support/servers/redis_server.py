"""A real Redis or Valkey on a free port, for tests that share something through one."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.servers.process import free_port


@contextlib.contextmanager
def redis_server(folder: Path, port: int | None = None, *options: str) -> Iterator[int]:
    """Its port, while it runs. Skips the test, with the reason, where neither program is installed."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("needs redis-server or valkey-server (Debian: apt-get install redis-server)")
    port = port or free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield port
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 120
    while not _listens(port):
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return False
    return True
