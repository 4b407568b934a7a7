"""The real ``drum server`` on gunicorn against ours, on the example regression model, in one interleaved run.

    python benchmarks/against_drum.py --drum /path/to/venv/bin/drum [--seconds 5] [--rounds 3] [--json OUT]

Needs wrk (``apt-get install wrk``) and an environment with datarobot-drum. Each round measures every server once, one
at a time, so that a slow minute of the machine hits all of them; what counts is the ratio of the medians. Both serve
one worker. Our queue is deep enough for every connection to wait, as DRUM's listen backlog is.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "examples" / "regression"
PARAMETER = "MLOPS_RUNTIME_PARAM_"
DEEP_QUEUE = {f"{PARAMETER}DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "1000"}
BATCHED = {f"{PARAMETER}DRUM_BATCH_MAX_ROWS": "10000"}
SCENARIOS = ((1, 1), (1, 16), (1, 64), (100, 16), (100, 64), (10_000, 16))
"""Rows of a request, connections."""

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "text/csv"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
"""
LUA_REPORT = """
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %f %f %f\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout, latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


def csv_body(rows: int) -> bytes:
    """The example's data, repeated to ``rows`` rows."""
    header, *lines = (MODEL / "data.csv").read_text().splitlines()
    return "\n".join([header, *(lines[number % len(lines)] for number in range(rows))]).encode() + b"\n"


@contextmanager
def server(command: list[str], env: dict[str, str], port: int) -> Iterator[psutil.Process]:
    """A running server that has answered ``/ping/``, and its exit afterwards."""
    settings = {"OMP_NUM_THREADS": "1", "DRUM_LITESTAR_HOOK": "0", **env}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 120
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/ping/", timeout=60).close()
                    break
                except (OSError, urllib.error.URLError):
                    if process.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        raise SystemExit(f"{command[0]} did not start:\n{log.read().decode()[-3000:]}") from None
                    time.sleep(0.05)
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wrk(port: int, connections: int, seconds: float, script: Path) -> dict[str, float]:
    """One closed-loop measurement: requests/s, latencies in ms, answers that were no 200."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "60s", "-s", str(script)]
    output = subprocess.run([*command, f"http://127.0.0.1:{port}/predict/"], capture_output=True, text=True, check=True)
    found = re.search(r"RESULT (\S+) (\S+) (\S+) (\S+) (\S+) (\S+)", output.stdout)
    if found is None:
        raise SystemExit(f"wrk printed no result:\n{output.stdout}{output.stderr}")
    requests, micros, errors, *latencies = map(float, found.groups())
    p50, p95, p99 = (value / 1000 for value in latencies)
    return {"rate": (requests - errors) / micros * 1e6, "p50": p50, "p95": p95, "p99": p99, "errors": errors}


def plain_loop(body: bytes, seconds: float) -> float:
    """Calls/s of the same predictor in this process, without any server: the limit of one worker."""
    from drum_litestar.predictors.protocol import ModelCall, Payload, TargetType
    from drum_litestar.predictors.spec import PredictorSpec

    predictor = PredictorSpec(code_dir=str(MODEL), target_type=TargetType.REGRESSION).build()
    predictor.load()
    payload = Payload(data=body, size=len(body), mimetype="text/csv")
    call = ModelCall(kind="predict", x=payload, body=payload)
    for _ in range(5):
        predictor.handle(call)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        predictor.handle(call)
        count += 1
    return count / (time.perf_counter() - began)


def memory(process: psutil.Process) -> list[float]:
    """Proportional set size (MiB) of the process and of each descendant."""
    return [p.memory_full_info().pss / 2**20 for p in (process, *process.children(recursive=True))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--drum", required=True, help="path of the drum command")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    args = parser.parse_args()
    ours = str(Path(sysconfig.get_path("scripts")) / "drum-litestar")
    contenders: dict[str, tuple[str, dict[str, str]]] = {
        "drum": (args.drum, {}),
        "ours": (ours, DEEP_QUEUE),
        "batched": (ours, {**DEEP_QUEUE, **BATCHED}),
    }
    samples: dict[str, dict[str, list[dict[str, float]]]] = {}
    loops: dict[str, list[float]] = {}
    pss: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scripts: dict[int, Path] = {}
        for rows in {rows for rows, _ in SCENARIOS}:
            (body := Path(folder, f"{rows}.csv")).write_bytes(csv_body(rows))
            (script := Path(folder, f"{rows}.lua")).write_text(SCRIPT.format(body=body) + LUA_REPORT)
            scripts[rows] = script
        for number in range(args.rounds):
            for name, (command, env) in contenders.items():
                port = free_port()
                words = [command, "server", "-cd", str(MODEL), "--target-type", "regression"]
                with server([*words, "--address", f"127.0.0.1:{port}"], env, port) as process:
                    wrk(port, 4, 1, scripts[1])
                    for rows, connections in SCENARIOS:
                        print(
                            f"round {number + 1}/{args.rounds}: {name}, {rows} rows, c={connections}", file=sys.stderr
                        )
                        key = f"{rows} rows c={connections}"
                        result = wrk(port, connections, args.seconds, scripts[rows])
                        samples.setdefault(key, {}).setdefault(name, []).append(result)
                    pss[name] = memory(process)
            for rows in (1, 100, 10_000):
                loops.setdefault(f"{rows}", []).append(plain_loop(csv_body(rows), args.seconds / 2))
    report(samples, loops, pss)
    if args.json:
        args.json.write_text(json.dumps({"samples": samples, "plain_loop": loops, "pss_mib": pss}, indent=1))
    return 0


def report(
    samples: dict[str, dict[str, list[dict[str, float]]]], loops: dict[str, list[float]], pss: dict[str, list[float]]
) -> None:
    """Markdown: medians, and ratios to DRUM in the same run."""
    middle: Callable[[list[dict[str, float]], str], float] = lambda runs, field: statistics.median(  # noqa: E731
        run[field] for run in runs
    )
    print("| scenario | server | requests/s | x DRUM | p50 ms | p99 ms | p50 / DRUM | not 200 | of plain loop |")
    print("|---|---|---|---|---|---|---|---|---|")
    for key, by_name in samples.items():
        base = by_name["drum"]
        loop = statistics.median(loops[key.split()[0]])
        for name, runs in by_name.items():
            rate, p50 = middle(runs, "rate"), middle(runs, "p50")
            print(
                f"| {key} | {name} | {rate:.0f} | {rate / middle(base, 'rate'):.2f} | {p50:.2f} | "
                f"{middle(runs, 'p99'):.2f} | {p50 / middle(base, 'p50'):.2f} | {middle(runs, 'errors'):.0f} | "
                f"{rate / loop:.2f} |"
            )
    for rows, rates in loops.items():
        print(f"plain loop, {rows} rows: {statistics.median(rates):.0f} calls/s")
    for name, sizes in pss.items():
        print(f"memory (PSS, MiB) of {name}: {sum(sizes):.0f} = " + " + ".join(f"{size:.0f}" for size in sizes))


if __name__ == "__main__":
    sys.exit(main())
