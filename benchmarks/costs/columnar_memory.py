"""Time and memory that one large body costs as Arrow stream, Arrow file, Parquet and CSV.

    python -m benchmarks.costs.columnar_memory [--size 100000000] [--runs 3]

For each format a server of its own, with the default settings and one worker, serves a linear model of ten columns of
full floats. It answers a small body, then one of ``--size`` bytes, so that formats differ in their rows. Reported is
the median of ``--runs`` servers: seconds until the answer (JSON) is read, and how much resident memory the HTTP process
and the worker had at most beyond what they had before; a body that a worker has mapped is a part of it. Exit code 1
when an answer is not 200 with a prediction for each row.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil

from benchmarks.servers.server_process import Running, free_port, running
from benchmarks.workload.models import make
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

MEGABYTE = 1000 * 1000
SMALL = 100
"""Rows of the first body, which has libraries imported."""


@dataclass(frozen=True)
class Cost:
    """Of one body: seconds and MB beyond what was held before."""

    seconds: float
    http: float
    worker: float


def arrow_stream(frame: pd.DataFrame) -> bytes:
    import pyarrow as pa

    sink = io.BytesIO()
    table = pa.Table.from_pandas(frame)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=65_536)
    return sink.getvalue()


def arrow_file(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_feather(sink, compression="uncompressed")
    return sink.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink, engine="pyarrow")
    return sink.getvalue()


FORMATS: dict[str, tuple[str, Callable[[pd.DataFrame], bytes]]] = {
    "Arrow stream": ("application/vnd.apache.arrow.stream", arrow_stream),
    "Arrow file": ("application/vnd.apache.arrow.file", arrow_file),
    "Parquet": ("application/vnd.apache.parquet", parquet),
    "CSV": ("text/csv", TABLES["floats"].csv),
}


def body_of_size(write: Callable[[pd.DataFrame], bytes], size: int) -> tuple[bytes, int]:
    """A body of ``size`` bytes or at most 2 % less, and its rows."""
    rows = 10_000
    body = write(TABLES["floats"].rows(rows))
    while not 0.98 * size <= len(body) <= size:
        rows = int(rows * 0.99 * size / len(body))
        body = write(TABLES["floats"].rows(rows))
    return body, rows


def memory(process: psutil.Process, name: str) -> float:
    """A figure of the kernel in MB: ``VmRSS``, or its peak ``VmHWM``."""
    (line,) = (line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / MEGABYTE


def cost(server: Running, request: PredictionRequest, rows: int) -> Cost:
    """Send the request and watch. Raises SystemExit for another answer than ``rows`` predictions."""
    http = server.process
    children = http.children(recursive=True)
    (worker,) = (process for process in children if any("worker_main" in word for word in process.cmdline()))
    before = [memory(process, "VmRSS") for process in (http, worker)]
    for process in (http, worker):
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # VmHWM begins anew
    began = time.perf_counter()
    with urllib.request.urlopen(request.to_urllib(server.port), timeout=300) as answer:
        body = answer.read()
    seconds = time.perf_counter() - began
    if (found := len(json.loads(body)["predictions"])) != rows:
        raise SystemExit(f"{found} predictions instead of {rows}")
    grown = [memory(process, "VmHWM") - held for process, held in zip((http, worker), before, strict=True)]
    return Cost(seconds, *grown)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100 * MEGABYTE, help="bytes of each body")
    parser.add_argument("--runs", type=int, default=3, help="servers for each format")
    args = parser.parse_args()
    print(f"{'':37}peak beyond before, MB:")
    print(f"{'':12} {'rows':>9} {'MB':>6} {'s':>6} {'HTTP':>6} {'worker':>7}")
    with tempfile.TemporaryDirectory(prefix="columnar-memory-") as home:
        make("ridge", Path(home) / "model")
        for name, (media_type, write) in FORMATS.items():
            body, rows = body_of_size(write, args.size)
            large = PredictionRequest("/predict/", (body,), media_type)
            small = PredictionRequest("/predict/", (write(TABLES["floats"].rows(SMALL)),), media_type)
            costs = []
            for _ in range(args.runs):
                port = free_port()
                command = [sys.executable, "-m", "drum_litestar", "server", "--code-dir", f"{home}/model"]
                command += ["--target-type", "regression", "--address", f"127.0.0.1:{port}"]
                with running(command, {"MAX_WORKERS": "1"}, port, small.to_urllib(port)) as server:
                    server.settle()
                    costs.append(astuple(cost(server, large, rows)))
            seconds, http, worker = (median(each) for each in zip(*costs, strict=True))
            size = len(body) / MEGABYTE
            numbers = f"{rows:9} {size:6.1f} {seconds:6.2f} {http:6.0f} {worker:7.0f}"
            print(f"{name:12} {numbers}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
