"""Cost of the middleware stack and of the guarded protocol on ``/livez``, against the bare Litestar application.

Four servers of one process each answer the same requests in turns, in one run:

- ``bare``: the Litestar application under uvicorn, which logs nothing
- ``logged``: the same with uvicorn's own access log, as ``uvicorn app`` runs it
- ``stack``: the application inside the whole middleware stack, with access log and metrics
- ``server``: that, behind our own protocol (what ``drum-litestar server`` runs)

The figure is the server's own CPU time per request, which other load on the machine hardly touches; throughput is
shown beside it. ``python benchmarks/costs/stack_cost.py`` prints a table and the ratios to ``bare``.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import multiprocessing.synchronize
import os
import socket
import statistics
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import psutil

VARIANTS = ("bare", "logged", "stack", "server")
REQUEST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nUser-Agent: stack-cost\r\nAccept: */*\r\n\r\n"
ANSWER = b'{"message":"OK"}\n'


class NoModel:
    """A predictor that is never called."""

    def load(self) -> Any:
        from drum_litestar.predictors.protocol import ModelCard, TargetType

        return ModelCard(target_type=TargetType.REGRESSION)

    def handle(self, call: Any) -> Any:
        raise NotImplementedError

    def close(self) -> None: ...


def serve(variant: str, listener: socket.socket, ready: multiprocessing.synchronize.Event) -> None:
    """Serve until killed. Logs go to the null device, but are formatted and written as always."""
    import asyncio

    import uvicorn
    from uvicorn.logging import AccessFormatter

    from drum_litestar.execution.inline import InlineExecutor
    from drum_litestar.execution.queue_limits import Place
    from drum_litestar.http.app import build_app
    from drum_litestar.http.app_options import AppOptions
    from drum_litestar.http.routes import ROUTES
    from drum_litestar.launcher.bootstrap import tune_garbage_collector
    from drum_litestar.launcher.http_process_telemetry import HttpProcessTelemetry
    from drum_litestar.middleware.stack import StackOptions, build_stack
    from drum_litestar.observability.logs.setup import configure_logging
    from drum_litestar.route_table import RouteTable
    from drum_litestar.server.event_loop import run
    from drum_litestar.server.http.connection import make_protocol
    from drum_litestar.settings.server_settings import ServerSettings

    null = Path(os.devnull).open("w")  # noqa: SIM115
    configure_logging("warning", stdout=null, stderr=null)
    executor = InlineExecutor(NoModel)
    app: Any = build_app(executor, AppOptions(drum_version="1.18.1", server_version="0"))
    options: dict[str, Any] = {"http": "httptools", "timeout_keep_alive": 3600}
    if variant in ("stack", "server"):
        telemetry = HttpProcessTelemetry(ServerSettings(), show_perf=False, otel_disabled=True)
        stack = StackOptions(drum_version="1.18.1", server_version="0")
        app = build_stack(
            app,
            stack,
            routes=RouteTable(ROUTES),
            new_place=lambda: Place(executor.admit),
            on_request_end=telemetry.request_ended,
            on_rejected=telemetry.refused,
        )
        if variant == "server":
            options["http"] = make_protocol(events=telemetry.connections)
            tune_garbage_collector(model_in_process=False)
    elif variant == "logged":
        log = logging.getLogger("uvicorn.access")
        log.propagate = False
        log.setLevel(logging.INFO)
        log.addHandler(logging.StreamHandler(null))
        log.handlers[0].setFormatter(
            AccessFormatter('%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s')
        )
        options["access_log"] = True
    config = uvicorn.Config(
        app,
        **{"access_log": False, **options},
        log_config=None,
        server_header=False,
        lifespan="on",
        ws="none",
        loop="uvloop",
    )
    server = uvicorn.Server(config)

    async def main() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        ready.set()
        await serving

    run(main(), "uvloop")


class Client:
    """A few keep-alive connections, one request on each at a time."""

    def __init__(self, port: int, connections: int) -> None:
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]

    def run(self, rounds: int) -> int:
        for _ in range(rounds):
            for sock in self.sockets:
                sock.sendall(REQUEST)
            for sock in self.sockets:
                data = b""
                while not data.endswith(ANSWER):  # head and body may come apart
                    data += sock.recv(65536) or ANSWER
                if not data.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"unexpected answer: {data[:200]!r}")
        return rounds * len(self.sockets)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=15, help="turns of each server (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=150, help="requests per connection and turn (default: %(default)s)"
    )
    parser.add_argument("--connections", type=int, default=16)
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    processes: dict[str, SpawnProcess] = {}
    clients: dict[str, Client] = {}
    cpu: dict[str, list[float]] = {}
    speed: dict[str, list[float]] = {}
    try:
        for variant in VARIANTS:
            listener = socket.create_server(("127.0.0.1", 0), backlog=256)
            ready = context.Event()
            arguments = (variant, listener, ready)
            processes[variant] = context.Process(target=serve, args=arguments, daemon=True)
            processes[variant].start()
            if not ready.wait(60):
                raise SystemExit(f"the server '{variant}' did not start")
            clients[variant] = Client(listener.getsockname()[1], args.connections)
            listener.close()
            clients[variant].run(args.rounds)  # warm-up
            cpu[variant], speed[variant] = [], []
        for _ in range(args.blocks):
            for variant in VARIANTS:
                measured = psutil.Process(processes[variant].pid)
                before, began = measured.cpu_times(), time.perf_counter()
                count = clients[variant].run(args.rounds)
                elapsed, after = time.perf_counter() - began, measured.cpu_times()
                used = after.user + after.system - before.user - before.system
                cpu[variant].append(used / count * 1e6)
                speed[variant].append(count / elapsed)
    finally:
        for process in processes.values():
            process.kill()
    base = statistics.mean(cpu["bare"])
    print(f"{'':8} {'CPU us/request':>15} {'ratio':>7} {'requests/s':>11}")
    for variant in VARIANTS:
        used = statistics.mean(cpu[variant])
        print(f"{variant:8} {used:15.1f} {used / base:7.2f} {statistics.median(speed[variant]):11.0f}")


if __name__ == "__main__":
    main()
