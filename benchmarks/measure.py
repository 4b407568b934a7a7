"""One scenario on one running server."""

from __future__ import annotations

from benchmarks.contenders.base import Contender
from benchmarks.load.chat import chat_streams
from benchmarks.load.closed import closed_loop
from benchmarks.load.opened import open_loop
from benchmarks.load.probes import probe_latency
from benchmarks.load.upload import upload
from benchmarks.process import Running
from benchmarks.question import Question
from benchmarks.results import Figures
from benchmarks.scenarios import Scenario


def measure(server: Running, contender: Contender, scenario: Scenario, seconds: float, rate: float) -> Figures:
    """The figures of ``scenario``; ``rate`` is asked for in an open loop. ``cpu``: seconds of CPU of the server's
    processes for 1,000 requests. Raises RuntimeError when the server dies of it."""
    question = contender.question(scenario)
    before = server.cpu_seconds()
    figures = _drive(server, contender, scenario, question, seconds, rate)
    if not server.alive():
        raise RuntimeError("the server died")
    spent = server.cpu_seconds() - before
    counts = scenario.kind in ("closed", "open", "chat") and figures["requests"]
    return figures | ({"cpu": spent / figures["requests"] * 1e3} if counts else {})


def _drive(
    server: Running, contender: Contender, scenario: Scenario, question: Question, seconds: float, rate: float
) -> Figures:
    if scenario.kind == "closed":
        return closed_loop(server.port, question, scenario.connections, seconds)
    if scenario.kind == "open":
        return open_loop(server.port, question, seconds, rate)
    if scenario.kind == "chat":
        return chat_streams(server.port, question, scenario.connections)
    if scenario.kind == "probes":
        return probe_latency(server.port, contender.probe_path, question, seconds)
    return upload(server, question)
