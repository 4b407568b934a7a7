"""Scenarios: model, request and load of each measurement."""

from __future__ import annotations

import json
from dataclasses import dataclass

from benchmarks.workload.models import csv_body, csv_body_of_size

UPLOAD_BYTES = 100_000_000
KINDS = {
    "closed": "closed loop",
    "open": "open loop (constant rate)",
    "chat": "chat stream",
    "probes": "probes beside predictions",
    "upload": "upload",
}


class UnknownNameError(Exception):
    """No contender or scenario has that name."""


@dataclass(frozen=True)
class Scenario:
    """One scenario, a table of the report."""

    name: str
    kind: str
    """One of :data:`KINDS`."""
    model: str = "ridge"
    rows: int = 1
    connections: int = 1
    workers: int = 1
    path: str = "/predict/"
    content_type: str = "text/csv"
    rate_of: float = 0.0
    """Open loop: the rate, as a share of DRUM's closed-loop throughput in :attr:`reference` of the same run."""
    reference: str = ""
    quick: bool = False
    """Part of ``--quick``."""

    @property
    def server(self) -> tuple[str, int, bool]:
        """Key of a server's start, which scenarios share: model, workers, and whether it is for an upload."""
        return self.model, self.workers, self.kind == "upload"

    @property
    def work(self) -> str:
        """Key of the work for one request; its plain loop without a server is the limit."""
        return f"{self.model}, {self.rows}"

    def body(self) -> bytes:
        """The request's body in DRUM's format."""
        if self.model == "echo":
            return json.dumps({"numbers": list(range(100))}).encode()
        return csv_body_of_size(UPLOAD_BYTES) if self.kind == "upload" else csv_body(self.rows)

    def expected_seconds(self, seconds: float) -> float:
        """Estimated duration of one measurement, when a closed-loop one takes ``seconds``."""
        return {"closed": seconds, "open": seconds + 1, "chat": 5.0, "probes": seconds + 1, "upload": 8.0}[self.kind]


def _closed(rows: int, connections: int) -> Scenario:
    name = f"{rows:,} row{'s' if rows > 1 else ''}, c={connections}"
    return Scenario(name, "closed", rows=rows, connections=connections, quick=(rows, connections) in _QUICK)


def _open(share: float, words: str) -> Scenario:
    return Scenario(f"1 row, open loop at {words} DRUM's rate", "open", rate_of=share, reference="1 row, c=16")


_QUICK = {(1, 1), (1, 16), (1, 64), (100, 16), (100, 64), (10_000, 16)}
SCENARIOS = (
    *(_closed(rows, connections) for rows in (1, 100, 10_000) for connections in (1, 16, 64)),
    _open(0.5, "half of"),
    _open(0.9, "0.9 of"),
    _open(2.0, "twice"),
    Scenario("upload of 100 MB", "upload"),
    Scenario("1 row, 2 workers, c=16", "closed", connections=16, workers=2),
    Scenario("unstructured JSON, c=16", "closed", "echo", 1, 16, 1, "/predictUnstructured/", "application/json"),
    Scenario("random forest, c=16", "closed", "forest", connections=16),
    Scenario("random forest, 2 workers, c=16", "closed", "forest", connections=16, workers=2),
    Scenario("sleeping model, c=16", "closed", "sleep", connections=16),
    Scenario("chat stream, 50 clients", "chat", "chat", connections=50, path="/v1/chat/completions"),
    Scenario("probes beside a model that holds the GIL", "probes", "hold"),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def choose(names: list[str] | None, *, quick: bool, workers: list[int] | None = None) -> list[Scenario]:
    """The scenarios whose name contains one of ``names``, and those that they refer to; without names all, or all
    quick ones. ``workers`` keeps those with that many workers. Raises UnknownNameError."""
    for name in names or ():
        if not any(name.lower() in known.lower() for known in BY_NAME):
            raise UnknownNameError(name)
    wanted = [
        scenario
        for scenario in SCENARIOS
        if (any(name.lower() in scenario.name.lower() for name in names) if names else scenario.quick or not quick)
        and (not workers or scenario.workers in workers)
    ]
    chosen = {scenario.name for scenario in wanted} | {scenario.reference for scenario in wanted}
    return [scenario for scenario in SCENARIOS if scenario.name in chosen]
