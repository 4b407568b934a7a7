"""Cost of metrics and of tracing for predictions of one row, 16 clients, in one interleaved run.

    python -m benchmarks.costs.observability_cost [--seconds 4] [--rounds 3] [--servers 4]

``off`` has neither; the others add one thing each: ``metrics`` has prometheus-client, ``API only`` finds no
OpenTelemetry SDK, ``every request`` exports its span to a collector that takes and forgets it, ``1 in 10`` has
``OTEL_TRACES_SAMPLER`` choose, ``with steps`` adds ``DRUM_TRACE_STEPS``. Logs and metrics are not exported. Model
workers are not replaced meanwhile: loading the model would drown the rest. What counts is the servers' own CPU time for
each request, which other load on the machine hardly touches, as a ratio to ``off`` in the same round. Two servers
started alike differ by up to a twentieth, so they are started several times; the figure is the median of all ratios,
and "half of them" says between which figures the middle half of them is.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import sys
import sysconfig
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

from benchmarks.contenders.base import drum_request
from benchmarks.load.closed_loop import closed_loop
from benchmarks.servers.server_process import Running, free_port, running
from benchmarks.workload.models import model_folder
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import BY_NAME

T = TypeVar("T")

CONNECTIONS = 16
HIDE = """import os, sys


class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(tuple(filter(None, os.environ["HIDDEN_MODULES"].split(",")))):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Hidden())
"""
"""A ``sitecustomize`` for an environment in which some packages are not installed."""


def variants(collector: str) -> dict[str, dict[str, str]]:
    """Environment variables of each server."""
    only = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    sdk = {"HIDDEN_MODULES": "prometheus_client", "OTEL_EXPORTER_OTLP_ENDPOINT": collector, **only}
    return {
        "off": {"HIDDEN_MODULES": "prometheus_client", "OTEL_SDK_DISABLED": "true"},
        "metrics": {"HIDDEN_MODULES": "", "OTEL_SDK_DISABLED": "true"},
        "API only": {"HIDDEN_MODULES": "prometheus_client,opentelemetry.sdk,opentelemetry.exporter"},
        "1 in 10": {**sdk, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
        "every request": sdk,
        "with steps": {**sdk, "DRUM_TRACE_STEPS": "true"},
    }


def collect(port: int) -> None:
    """Accept everything that exporters send."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a collector keeps its connections

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each start of the servers (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=4, help="times that they are started (default: %(default)s)")
    args = parser.parse_args()
    request = drum_request(BY_NAME["ridge, 1 row, c=16"])
    cpu: dict[str, list[float]] = {}
    rate: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (home / "sitecustomize.py").write_text(HIDE)
        folder = model_folder("ridge", home, Path(sys.executable))
        place = free_port()
        collector = multiprocessing.Process(target=collect, args=(place,), daemon=True)
        collector.start()
        stack.callback(collector.terminate)
        for number in range(args.servers):
            print(f"servers {number + 1} of {args.servers}", file=sys.stderr)
            with contextlib.ExitStack() as these:
                servers: dict[str, Running] = {}
                for name, env in turned(list(variants(f"http://127.0.0.1:{place}").items()), number):
                    servers[name] = these.enter_context(serving(folder, {**env, "PYTHONPATH": str(home)}, request))
                    closed_loop(servers[name].port, request, CONNECTIONS, 1)
                for turn in range(args.rounds):
                    for name, server in turned(list(servers.items()), 2 * turn):
                        before = server.cpu_seconds()
                        figures = closed_loop(server.port, request, CONNECTIONS, args.seconds)
                        used = server.cpu_seconds() - before
                        cpu.setdefault(name, []).append(used / figures["requests"] * 1e6)
                        rate.setdefault(name, []).append(figures["rate"])
    print("| | CPU us/request | x off | half of them | requests/s | x off |\n|---|---|---|---|---|---|")
    for name in cpu:
        ratios, speeds = to_off(cpu, name), to_off(rate, name)
        low, _, high = statistics.quantiles(ratios, n=4)
        print(
            f"| {name} | {statistics.median(cpu[name]):.0f} | {statistics.median(ratios):.2f} | {low:.2f}-{high:.2f} "
            f"| {statistics.median(rate[name]):.0f} | {statistics.median(speeds):.2f} |"
        )


def turned(places: list[T], by: int) -> list[T]:
    """Rotate the order, so that none has an advantage by it."""
    by %= len(places)
    return places[by:] + places[:by]


def serving(
    folder: Path, env: dict[str, str], request: PredictionRequest
) -> contextlib.AbstractContextManager[Running]:
    """Start drum-litestar with ``env``."""
    port = free_port()
    command = [str(Path(sysconfig.get_path("scripts"), "drum-litestar")), "server", "--code-dir", str(folder)]
    command += ["--target-type", "regression", "--address", f"127.0.0.1:{port}"]
    own = {**env, "MLOPS_RUNTIME_PARAM_DRUM_UVICORN_MAX_REQUESTS": "0"}
    return running(command, own, port, request.to_urllib(port))


def to_off(figures: dict[str, list[float]], name: str) -> list[float]:
    """Ratios of ``name`` to ``off``, each of the same round and of servers started together."""
    return [mine / off for mine, off in zip(figures[name], figures["off"], strict=True)]


if __name__ == "__main__":
    main()
