"""The course of a soak: the server, its load and faults, a sample every few seconds, the check at the end."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import psutil
import uvloop

from benchmarks.contenders.open_inference import MODEL_NAME
from benchmarks.report.result import latencies
from benchmarks.servers import machine
from benchmarks.servers.environments import ROOT
from benchmarks.servers.server_process import COMMON, Running, free_port, running
from benchmarks.soak_run.faults import Faults
from benchmarks.soak_run.records import Ended, Header, Recorder, Sample, Unexpected
from benchmarks.soak_run.request_kinds import CALLS_DIR, LARGEST_BODY, Kind, kinds, model_folder
from benchmarks.soak_run.sampling import http_process, stats, worker_processes
from benchmarks.soak_run.traffic import Traffic
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.tables import csv_bodies
from drum_litestar.http.spool import LOCK_NAME

ZERO = ("executor_pending", "executor_in_flight", "executor_queue_depth", "executor_queue_memory", "executor_stuck")
"""Keys of ``/stats/`` that are zero when nothing goes on."""
ERRORS = ("Task exception was never retrieved", "Unhandled exception", "Exception in callback", "was never awaited")
"""What the server's log must not have."""
_STOP = 60.0
"""Seconds that the server has to end after SIGTERM."""
_LINES = 20


class ServerDiedError(Exception):
    """The server ended during the soak; the text is the end of its log."""


@dataclass(frozen=True)
class Options:
    """What to run. Times are in seconds."""

    seconds: float = 3600.0
    rate: float = 100.0
    phase: float = 600.0
    fault_interval: float = 2.0
    deadline: float = 2.0
    every: float = 5.0
    """Between two samples."""
    workers: int = 2

    def faulty(self, at: float) -> bool:
        """Whether ``at`` seconds after the start is in a phase with faults."""
        return int(at // self.phase) % 2 == 1

    def settings(self) -> dict[str, str]:
        """The server's variables. Workers are not recycled, so that their growth shows; bodies go to disk early; a call
        that has waited for a quarter of its time is refused, so that what the workers get can still be in time."""
        return {
            "CUSTOM_MODEL_WORKERS": str(self.workers),
            "DRUM_CLIENT_REQUEST_TIMEOUT": f"{self.deadline:g}",
            "DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT": f"{self.deadline / 4:g}",
            "DRUM_FASTAPI_MAX_UPLOAD_SIZE": str(LARGEST_BODY),
            "DRUM_MODEL_NAME": MODEL_NAME,
            "DRUM_SPOOL_THRESHOLD": "2MB",
            "DRUM_UVICORN_MAX_REQUESTS": "0",
            **COMMON,
        }


def soak(options: Options, home: Path, recorder: Recorder, tell: Callable[[str], None]) -> None:
    """Run it in the empty folder ``home``. ``tell`` gets a line each minute, and one for each unexpected outcome.

    Raises CannotStartError, and ServerDiedError once the records are written.
    """
    calls, spool, log = home / "calls", home / "spool", home / "server.log"
    calls.mkdir()
    spool.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "drum_litestar", "server", "--code-dir", str(model_folder(home))]
    command += ["--target-type", "regression", "--address", f"127.0.0.1:{port}"]
    created = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}"
    header = Header(
        created,
        machine.describe(),
        options.settings(),
        options.rate,
        options.seconds / 60,
        options.phase,
        options.fault_interval,
        options.deadline,
    )
    recorder.add(header)
    env = {**options.settings(), CALLS_DIR: str(calls), "DRUM_SPOOL_DIR": str(spool)}
    first = PredictionRequest("/predict/", csv_bodies("floats", (1,)), "text/csv").to_urllib(port)
    with running(command, env, port, first, cwd=str(ROOT), output=log) as server:
        run = _Soak(options, server, calls, recorder, tell)
        try:
            uvloop.run(run.run())
        except psutil.Error as error:
            raise ServerDiedError(log.read_text(errors="replace")[-3000:]) from error
        recorder.add(_end(server, run.at, spool, log))


def _end(server: Running, at: float, spool: Path, log: Path) -> Ended:
    """Check what is left of the load, and stop the server."""
    server.settle()
    found = stats(server.port)
    spooled = [path for path in spool.rglob("*") if path.is_file() and path.name != LOCK_NAME]
    left = {key: found[key] for key in ZERO} | {"spool files": len(spooled)}
    server.process.send_signal(signal.SIGTERM)
    try:
        code = server.process.wait(_STOP)
    except psutil.TimeoutExpired:
        code = None
    with log.open(errors="replace") as lines:
        errors = [line.strip() for line in lines if any(words in line for words in ERRORS)]
    return Ended(round(at, 1), code, found["executor_reloads"], left, errors[:_LINES])


class _Soak:
    """One run over a server that has answered its first prediction."""

    def __init__(
        self, options: Options, server: Running, calls: Path, recorder: Recorder, tell: Callable[[str], None]
    ) -> None:
        self.at = 0.0
        self._began = time.monotonic()
        self._options = options
        self._server = server
        self._calls = calls
        self._recorder = recorder
        self._tell = tell
        self._faults = Faults(server, calls, options.deadline)
        self._traffic = Traffic(server.port, self._faults.unsettled, self._unexpected)

    async def run(self) -> None:
        options = self._options
        asked: tuple[Kind, ...] = kinds()
        self._began = time.monotonic()
        work = asyncio.gather(
            self._traffic.run(asked, options.rate, options.seconds),
            self._faults.run(self._traffic, options.fault_interval, options.seconds, self._faulty),
        )
        minute = 1
        number = 0
        try:
            while not work.done():
                number += 1
                await asyncio.wait([work], timeout=max(0.0, self._began + number * options.every - time.monotonic()))
                sample = await self._sample()
                if sample.at >= 60 * minute or work.done():
                    minute = int(sample.at // 60) + 1
                    self._tell(_words(sample, self._traffic.unexpected))
            await work
        finally:
            work.cancel()
            self._traffic.close()

    def _faulty(self) -> bool:
        return self._options.faulty(time.monotonic() - self._began)

    async def _sample(self) -> Sample:
        traffic, server = self._traffic, self._server
        http = await asyncio.to_thread(http_process, server)
        workers = await asyncio.to_thread(worker_processes, server, self._calls)
        found = await asyncio.to_thread(stats, server.port)
        cpu = await asyncio.to_thread(server.cpu_seconds)
        self.at = time.monotonic() - self._began
        times, traffic.latencies = traffic.latencies, []
        percentiles = latencies(times) if times else {}
        sample = Sample(
            round(self.at, 1),
            self._faulty(),
            http,
            workers,
            round(cpu, 1),
            traffic.requests,
            {kind: dict(counts) for kind, counts in traffic.answers.items()},
            dict(self._faults.counts),
            found["executor_restarts"],
            len(times),
            *(round(percentiles[name], 2) if name in percentiles else None for name in ("p50", "p99")),
        )
        self._recorder.add(sample)
        return sample

    def _unexpected(self, kind: str, outcome: str, example: str) -> None:
        at = time.monotonic() - self._began
        self._recorder.add(Unexpected(round(at, 1), kind, outcome, example))
        self._tell(f"unexpected after {at:.0f} s: {kind}: {outcome}: {example}")


def _words(sample: Sample, unexpected: int) -> str:
    http = sample.http
    latency = f"{sample.p50:.1f} / {sample.p99:.1f} ms" if sample.p50 is not None and sample.p99 is not None else "-"
    return (
        f"{sample.at / 60:5.1f} min, {'faults' if sample.faulty else 'quiet '}: {sample.requests:,} requests, "
        f"{sample.crashes:,} crashes, {unexpected} unexpected; HTTP process {http.rss:.1f} MiB (USS {http.uss:.1f}), "
        f"{http.fds} descriptors, {http.connections} connections, {http.threads} threads; one row p50 / p99 {latency}; "
        f"{sample.cpu / max(sample.at, 1e-9):.2f} cores"
    )
