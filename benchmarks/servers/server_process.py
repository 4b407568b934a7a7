"""A server's process: start up to the first prediction, CPU time and memory of the process tree, stop."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

COMMON = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Variables of every server: BLAS uses one thread, so that cores are compared and not its thread pools."""
_LOOK = 0.2
"""Window in seconds for the test whether a server is idle: CPU time below a quarter of a core."""
_TAIL = 3000
_NOT_YET = (404, 503)
"""Statuses of a server that loads its model; any other error must end within ``_TIMEOUT_AFTER_ERROR``: MLServer says
400 meanwhile, gunicorn's dirty arbiter 500."""
_TIMEOUT_AFTER_ERROR = 60.0


class CannotStartError(Exception):
    """The server did not answer; the text is the end of its log."""


@dataclass(frozen=True)
class Running:
    """A server that has answered its first prediction."""

    port: int
    process: psutil.Process
    cold_start: float
    """Seconds from its start to its first prediction."""

    def processes(self) -> list[psutil.Process]:
        """The server's process and all descendants; empty when it has ended."""
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE

    def cpu_seconds(self) -> float:
        """User and system time of all processes so far, including ended ones."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])  # user, system, and both of the reaped children
        return total

    def settle(self, timeout: float = 20.0) -> None:
        """Wait until the server is idle, so that abandoned requests do not affect the next measurement."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(_LOOK)
            if self.cpu_seconds() - before < _LOOK / 4:
                return

    def pss(self) -> dict[int, float]:
        """Proportional set size in MiB of each process, by its id; the server itself comes first."""
        sizes = {}
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                sizes[process.pid] = process.memory_full_info().pss / 2**20
        return sizes

    def receivers(self) -> set[int]:
        """The processes that currently hold a client's connection."""
        found = set()
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                connections = process.net_connections("tcp")
                if any(c.status == "ESTABLISHED" and c.laddr.port == self.port for c in connections):
                    found.add(process.pid)
        return found


def free_port() -> int:
    """A currently free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: list[str],
    env: dict[str, str],
    port: int,
    first: urllib.request.Request,
    *,
    cwd: str | None = None,
    timeout: float = 300.0,
    grace: float = 10.0,
    output: Path | None = None,
) -> Iterator[Running]:
    """Start ``command`` and send ``first`` until it is answered with 200; ``output``: the file of what it prints. At
    the end SIGTERM, and after ``grace`` seconds SIGKILL. Raises CannotStartError."""
    with output.open("w+b") if output is not None else tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(
            command, env={**os.environ, **COMMON, **env}, stdout=log, stderr=log, cwd=cwd, start_new_session=True
        )
        try:
            why = ""
            while True:
                try:
                    with urllib.request.urlopen(first, timeout=60) as answer:
                        answer.read()
                    break
                except urllib.error.HTTPError as error:
                    why = f"{error.code} {error.read()[:300]!r}"
                    if error.code not in _NOT_YET:
                        timeout = min(timeout, time.monotonic() - began + _TIMEOUT_AFTER_ERROR)
                except (OSError, http.client.HTTPException) as error:
                    why = str(error)
                if process.poll() is not None or time.monotonic() - began > timeout:
                    log.seek(0)
                    why += "" if process.poll() is None else f", exit code {process.returncode}"
                    raise CannotStartError(f"{why}\n{log.read().decode(errors='replace')[-_TAIL:]}".strip())
                time.sleep(0.02)
            yield Running(port, psutil.Process(process.pid), time.monotonic() - began)
        finally:
            _stop(process, grace)


def _stop(process: subprocess.Popen[bytes], grace: float) -> None:
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
