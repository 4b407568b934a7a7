"""What the HTTP process costs for predictions and uploads, beside another checkout, in one interleaved run.

    python -m benchmarks.costs.edge_cost --before ../other-checkout [--seconds 4] [--rounds 5] [--servers 2]

Figures are medians; the ratios are of the same round and of servers started together. CPU is the HTTP process's own,
without the model's worker, and hardly touched by other load on the machine; requests and seconds are.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.contenders.base import drum_request
from benchmarks.costs.observability_cost import turned
from benchmarks.load.closed_loop import closed_loop
from benchmarks.servers.server_process import Running, free_port, running
from benchmarks.workload.models import model_folder
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import BY_NAME, UPLOAD_BYTES

LOADS = {"1 row, c=16": 16, "1 row, c=64 (merged)": 64}
UPLOAD = "upload of 100 MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each start of the servers (default: %(default)s)")
    parser.add_argument("--servers", type=int, default=2, help="times that they are started (default: %(default)s)")
    args = parser.parse_args()
    request = drum_request(BY_NAME["ridge, 1 row, c=16"])
    checkouts = {"before": args.before.resolve(), "now": Path(__file__).resolve().parents[2]}
    figures: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as home:
        folders = {name: model_folder(name, Path(home), Path(sys.executable)) for name in ("ridge", "echo")}
        for number in range(args.servers):
            with contextlib.ExitStack() as stack:
                servers = {
                    (name, model): stack.enter_context(serving(checkout, folder, model, request))
                    for name, checkout in checkouts.items()
                    for model, folder in folders.items()
                }
                for turn in range(args.rounds):
                    for name in turned(list(checkouts), number + turn):
                        for load, connections in LOADS.items():
                            measured = predictions(servers[name, "ridge"], request, connections, args.seconds)
                            figures.setdefault((load, name), []).append(measured)
                        figures.setdefault((UPLOAD, name), []).append(upload(servers[name, "echo"]))
    print("| | before | now | CPU x | | before | now | x |\n|---|---|---|---|---|---|---|---|")
    for load in (*LOADS, UPLOAD):
        unit, others = ("ms", "uploads/s") if load == UPLOAD else ("us/request", "requests/s")
        cpu, rate = (compared(figures, load, which) for which in (0, 1))
        print(f"| {load}, CPU {unit} | {cpu} | {others} | {rate} |")


def serving(
    checkout: Path, folder: Path, model: str, request: PredictionRequest
) -> contextlib.AbstractContextManager[Running]:
    port = free_port()
    kind, first = "regression", request.to_urllib(port)
    if model == "echo":
        kind, first = "unstructured", _post(port, b'{"numbers": []}')
    command = [str(Path(sysconfig.get_path("scripts"), "drum-litestar")), "server", "--code-dir", str(folder)]
    command += ["--target-type", kind, "--address", f"127.0.0.1:{port}"]
    env = {"PYTHONPATH": str(checkout), "MLOPS_RUNTIME_PARAM_DRUM_UVICORN_MAX_REQUESTS": "0"}
    return running(command, env, port, first, cwd=str(folder))


def _post(port: int, body: bytes) -> urllib.request.Request:
    headers = {"Content-Type": "application/octet-stream"}
    return urllib.request.Request(f"http://127.0.0.1:{port}/predictUnstructured/", body, headers)


def cpu_seconds(server: Running) -> float:
    """Of the HTTP process alone."""
    return sum(server.process.cpu_times()[:2])


def predictions(server: Running, request: PredictionRequest, connections: int, seconds: float) -> tuple[float, float]:
    """Microseconds of CPU for a request, and requests a second."""
    closed_loop(server.port, request, connections, 1)
    before = cpu_seconds(server)
    figures = closed_loop(server.port, request, connections, seconds)
    return (cpu_seconds(server) - before) / figures["requests"] * 1e6, figures["rate"]


def upload(server: Running) -> tuple[float, float]:
    """Milliseconds of CPU for an upload that the model does not accept, and uploads a second."""
    body = b"x" * UPLOAD_BYTES
    before, began = cpu_seconds(server), time.perf_counter()
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(_post(server.port, body)) as answer:
        answer.read()
    return (cpu_seconds(server) - before) * 1e3, 1 / (time.perf_counter() - began)


def compared(figures: dict[tuple[str, str], list[tuple[float, float]]], load: str, which: int) -> str:
    """Both medians, and the median of the ratios."""
    before, now = ([each[which] for each in figures[load, name]] for name in ("before", "now"))
    ratio = statistics.median(mine / theirs for mine, theirs in zip(now, before, strict=True))
    return f"{statistics.median(before):.4g} | {statistics.median(now):.4g} | {ratio:.3f}"


if __name__ == "__main__":
    main()
