"""Measurement of one scenario on one running server."""

from __future__ import annotations

from benchmarks.contenders.base import Contender
from benchmarks.load import large_model
from benchmarks.load.chat import chat_streams
from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.open_loop import open_loop
from benchmarks.load.probes import probe_latency
from benchmarks.load.storm import storm
from benchmarks.load.upload import upload
from benchmarks.report.result import Figures
from benchmarks.servers.server_process import Running
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario


def measure(server: Running, contender: Contender, scenario: Scenario, seconds: float, rate: float) -> Figures:
    """The figures of ``scenario``; ``rate`` is the requested rate of an open loop. ``cpu``: CPU seconds of the server's
    processes for 1,000 requests that ended. Raises RuntimeError when the server ends during it."""
    request = contender.request(scenario)
    before = server.cpu_seconds()
    figures = _drive(server, contender, scenario, request, seconds, rate)
    if not server.alive():
        raise RuntimeError("the server died")
    if scenario.kind not in ("closed", "open", "chat"):
        return figures
    spent = server.cpu_seconds() - before
    ended = figures["requests"] - figures.get("unfinished", 0.0)
    return figures | ({"cpu": spent / ended * 1e3} if ended else {})


def _drive(
    server: Running, contender: Contender, scenario: Scenario, request: PredictionRequest, seconds: float, rate: float
) -> Figures:
    if scenario.kind == "closed":
        return closed_loop(server.port, request, scenario.connections, seconds)
    if scenario.kind == "open":
        return open_loop(server.port, request, seconds, rate)
    if scenario.kind == "chat":
        return chat_streams(server.port, request, scenario.connections, scenario.seconds or None)
    if scenario.kind == "probes":
        return probe_latency(server.port, contender.probe_path, request, seconds)
    if scenario.kind == "storm":
        return storm(server.port, request, scenario.connections, scenario.seconds)
    if scenario.kind == "start":
        return large_model.start(server, request, scenario.workers)
    if scenario.kind == "memory":
        return large_model.memory(server, request, scenario.workers)
    return upload(server, request)
