"""A rolling restart: of two servers behind HAProxy one after the other is replaced while clients ask.

A new server starts, and when it has answered a prediction and the proxy has seen it ready, the oldest one gets SIGTERM,
as an orchestrator does it. The proxy asks each server for its readiness every 200 ms and tries nothing again, so what a
server refuses is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import uvloop

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks.load.client import HOST, Connection, LostError, posts
from benchmarks.report.result import Figures
from benchmarks.servers.server_process import free_port
from benchmarks.workload.prediction_request import PredictionRequest
from support.servers import haproxy

Start = Callable[[int], AbstractContextManager[object]]
"""Starts a server on a port; it has answered a prediction when the block begins, and SIGTERM ends it."""

SERVERS, REPLACEMENTS = 2, 4
INTERVAL = "200ms"
PAUSE = 0.1
"""Seconds between a client's answer and its next request. Without it, the requests that a stopped server refuses in
the same time would be the more, the quicker the other one is."""
TIMEOUT = 30.0
"""Timeout of a request in seconds."""


def available() -> str | None:
    """Reason why HAProxy cannot be used; None when it can."""
    return None if haproxy.program() else "haproxy is not installed (apt-get install haproxy)"


def rolling_restart(start: Start, request: PredictionRequest, ready_path: str, clients: int) -> Figures:
    """``lost``: requests that had another answer than 200, or none; ``requests``: all. Raises what ``start`` raises."""
    return uvloop.run(_run(start, request, ready_path, clients))


async def _run(start: Start, request: PredictionRequest, ready_path: str, clients: int) -> Figures:
    with tempfile.TemporaryDirectory() as home, contextlib.ExitStack() as stack:
        restart = await asyncio.to_thread(stack.enter_context, _servers(start, Path(home), ready_path))
        stopped = asyncio.Event()
        data = posts(request)
        asking = [asyncio.ensure_future(_ask(restart.port, data, stopped)) for _ in range(clients)]
        try:
            await asyncio.to_thread(restart.replace_all)
        finally:
            stopped.set()
            counts = await asyncio.gather(*asking)
    return {"lost": float(sum(lost for lost, _ in counts)), "requests": float(sum(asked for _, asked in counts))}


class _Restart:
    """Two running servers, and the proxy that knows the ports of all that will follow."""

    def __init__(self, start: Start, ports: list[int], servers: list[ExitStack], proxy: haproxy.HAProxy) -> None:
        self.port = proxy.port
        self._start = start
        self._ports = ports
        self._servers = servers
        self._proxy = proxy

    def replace_all(self) -> None:
        for number in range(SERVERS, len(self._ports)):
            self._servers.append(_started(self._start, self._ports[number]))
            self._proxy.wait_up(number)
            self._servers.pop(0).close()
            self._proxy.wait_down(number - SERVERS)


@contextlib.contextmanager
def _servers(start: Start, home: Path, ready_path: str) -> Iterator[_Restart]:
    ports = [free_port() for _ in range(SERVERS + REPLACEMENTS)]
    servers: list[ExitStack] = []
    try:
        servers.extend(_started(start, port) for port in ports[:SERVERS])
        with haproxy.haproxy(home, ports, probe=ready_path, interval=INTERVAL) as proxy:
            proxy.wait_down(*range(SERVERS, len(ports)))  # it takes all for running until it has asked them
            proxy.wait_up(*range(SERVERS))
            yield _Restart(start, ports, servers, proxy)
    finally:
        for server in servers:
            server.close()


def _started(start: Start, port: int) -> ExitStack:
    server = ExitStack()
    server.enter_context(start(port))
    return server


async def _ask(port: int, data: Iterator[bytes], stopped: asyncio.Event) -> tuple[int, int]:
    """Ask through one connection, which is opened again after it has ended; how many requests were lost, and all."""
    lost = asked = 0
    connection: Connection | None = None
    while not stopped.is_set():
        status = 0
        with contextlib.suppress(OSError, LostError, asyncio.TimeoutError):
            if connection is None or not connection.usable:
                _, connection = await asyncio.get_running_loop().create_connection(Connection, HOST, port)
            status = await asyncio.wait_for(connection.send(next(data)), TIMEOUT)
        asked += 1
        lost += status != 200
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), PAUSE)
    if connection is not None:
        connection.close()
    return lost, asked
