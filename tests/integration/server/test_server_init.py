"""The server as process 1 of a container (a namespace of process ids): orphans, signals, exit codes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.servers.backends import console_script
from support.servers.faults import eventually
from support.servers.process import ServerProcess, free_port
from support.wire import csv

CUSTOM = """\
import subprocess
import pandas as pd

def load_model(code_dir):
    return 1.0

def score(data, model, **kwargs):
    # the shell ends at once, and leaves its job to process 1
    subprocess.run(["sh", "-c", "sleep 0.01 & echo $! >> {left}"], check=True)
    return pd.DataFrame({{"Predictions": data["a"]}})
"""
UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def _namespace() -> list[str]:
    """The command that runs another one as process 1; skips where this user may not."""
    for command in ([*UNSHARE], [*UNSHARE, "--user", "--map-root-user"]) if shutil.which(UNSHARE[0]) else ():
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no namespace of process ids may be made here")


class Contained:
    """A server in a namespace: ``unshare``, its child, which is process 1 there, and the child of that, the server."""

    def __init__(self, server: ServerProcess, left: Path) -> None:
        self.server = server
        self._left = left
        (self.first,) = psutil.Process(server.process.pid).children()

    def served(self) -> psutil.Process:
        """The process that serves: of process 1's children, the one with its command line."""
        return next(each for each in self.first.children() if each.cmdline() == self.first.cmdline())

    def left(self) -> int:
        """How many processes the model has left behind."""
        return len(self._left.read_text().split())


@pytest.fixture
def contained(tmp_path: Path) -> Iterator[Contained]:
    folder, left = tmp_path / "model", tmp_path / "left"
    folder.mkdir()
    (folder / "custom.py").write_text(CUSTOM.format(left=left))
    port = free_port()
    command = [*_namespace(), console_script(), "server", "--address", f"127.0.0.1:{port}"]
    server = ServerProcess(
        [*command, "--code-dir", str(folder), "--target-type", "regression"], port=port, log=tmp_path / "log"
    )
    try:
        server.wait_ready()
        yield Contained(server, left)
    finally:
        if server.process.poll() is None:
            server.kill()


def test_orphans_are_reaped(contained: Contained) -> None:
    for _ in range(3):
        assert contained.server.send(csv("a\n1\n")).status == 200
    assert contained.left() == 3
    eventually(lambda: contained.first.children() == [contained.served()], "nothing is left but the server")
    assert contained.server.send(csv("a\n1\n")).status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_reaches_the_server(contained: Contained, number: int) -> None:
    os.kill(contained.first.pid, number)
    assert contained.server.wait_exit() == 0
    assert f"stopping ({signal.Signals(number).name})" in contained.server.output()


def test_a_reload_reaches_the_server(contained: Contained) -> None:
    (old,) = contained.served().children()
    os.kill(contained.first.pid, signal.SIGHUP)
    eventually(lambda: not old.is_running(), "the worker is replaced")
    assert contained.server.send(csv("a\n1\n")).status == 200


def test_a_server_that_is_killed_ends_the_container(contained: Contained) -> None:
    contained.served().kill()
    assert contained.server.wait_exit() == 128 + signal.SIGKILL
