"""Memory, descriptors and threads of the server's processes."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from benchmarks.servers.server_process import Running
from benchmarks.soak_run.records import ProcessSample, WorkerSample

_WORKER = "drum-litestar-worker-"
"""Begins the last argument of a worker's command."""
_MIB = 2**20


def workers_of(server: Running) -> list[int]:
    """Process ids of the model workers."""
    found = []
    for process in server.processes()[1:]:
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[-1:] and process.cmdline()[-1].startswith(_WORKER):
                found.append(process.pid)
    return found


def calls_of(calls: Path, pid: int) -> int:
    """Calls of the hooks of worker ``pid`` so far."""
    with contextlib.suppress(OSError, ValueError):
        return int((calls / str(pid)).read_bytes())
    return 0


def http_process(server: Running) -> ProcessSample:
    """The HTTP process. Raises psutil.Error when it has ended."""
    return ProcessSample(server.process.pid, *_figures(server.process))


def worker_processes(server: Running, calls: Path) -> list[WorkerSample]:
    """The workers that live now."""
    found = []
    for pid in workers_of(server):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            age = time.time() - process.create_time()
            found.append(WorkerSample(pid, *_figures(process), round(age, 1), calls_of(calls, pid)))
    return found


def _figures(process: psutil.Process) -> tuple[float, float, float, int, int, int]:
    memory = process.memory_full_info()
    rss, pss, uss = (round(size / _MIB, 2) for size in (memory.rss, memory.pss, memory.uss))
    connections = len(process.net_connections("tcp"))
    return rss, pss, uss, process.num_fds() - connections, connections, process.num_threads()


def stats(port: int, timeout: float = 10.0) -> dict[str, Any]:
    """The answer of ``/stats/``. Raises OSError."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/", timeout=timeout) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
