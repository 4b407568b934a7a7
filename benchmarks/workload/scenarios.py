"""Scenarios: model, data and load of each measurement."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.workload.tables import HANGS_EVERY, csv_bodies, csv_body_of_size, frames, spread

if TYPE_CHECKING:
    import pandas as pd

UPLOAD_BYTES = 100_000_000
MIXED_SIZES = {1: 60, 10: 25, 100: 10, 1_000: 4, 5_000: 1}
"""Rows of a request, and percent of the requests that have so many."""
NO_ASYNC_HOOKS = "DRUM, LitServe with batching, Mosec, gunicorn's dirty arbiter and MLflow"
"""Servers that do not call ``async def`` hooks."""
KINDS = {
    "closed": "closed loop",
    "open": "open loop (constant rate)",
    "chat": "chat stream",
    "probes": "probes beside predictions",
    "upload": "upload",
    "storm": "calls that hang",
    "rollout": "rolling restart",
    "start": "start of a large model",
    "memory": "memory of a large model",
}
LIFE = {"rollout": 60.0, "start": 10.0, "memory": 2.0}
"""Kinds of a server's life, which do not depend on the requests, and estimated seconds of a measurement."""


@dataclass(frozen=True)
class Data:
    """A model together with the rows that it is asked for: a column of the report."""

    name: str
    model: str
    table: str
    words: str


DATA = {
    data.name: data
    for data in (
        Data("ridge", "ridge", "floats", "linear model, ten columns of full floats (16 to 18 digits)"),
        Data("ridge rounded", "ridge", "rounded", "the same model and rows, each number with four decimals"),
        Data("mixed", "mixed", "mixed", "classifying pipeline, ten columns like the Titanic's: text, quotes, blanks"),
        Data("wide", "wide", "wide", "scaler and linear model, 300 columns of full floats"),
        Data("forest", "forest", "floats", "200 trees, ten columns of full floats"),
    )
}


class UnknownNameError(Exception):
    """No contender or scenario has that name."""


@dataclass(frozen=True)
class Scenario:
    """One scenario, a table of the report."""

    load: str
    """Words for the load; the same words with other data are comparable."""
    kind: str
    """One of :data:`KINDS`."""
    model: str = "ridge"
    data: str = ""
    """One of :data:`DATA`; empty where the model does not look at the rows."""
    rows: int = 1
    """Of each request, unless :attr:`sizes` says otherwise."""
    sizes: tuple[int, ...] = ()
    """Rows of the requests in turn, where they differ."""
    connections: int = 1
    workers: int = 1
    path: str = "/predict/"
    content_type: str = "text/csv"
    rate_of: float = 0.0
    """Open loop: the rate, as a share of DRUM's closed-loop throughput in :attr:`reference` of the same run."""
    reference: str = ""
    quick: bool = False
    """Part of ``--quick``."""
    seconds: float = 0.0
    """Length of the measurement, whatever the run asks for; chats that have not ended by then are abandoned."""
    timeout: float = 0.0
    """Seconds after which the server should give a call up, by its own setting or its app; 0: its default."""
    note: str = ""
    """What a reader of the scenario's table must know."""

    @property
    def name(self) -> str:
        """Data and load."""
        return f"{self.data}, {self.load}" if self.data else self.load

    @property
    def server(self) -> tuple[str, int, str]:
        """Key of a server's start, which scenarios share: model, workers, and the kind that has a start of its own."""
        return self.model, self.workers, self.kind if self.kind in ("upload", "rollout") else ""

    @property
    def work(self) -> str:
        """Key of the work for one request; its plain loop without a server is the limit."""
        return f"{self.data or self.model}, {'mixed sizes' if self.sizes else self.rows}"

    def frames(self) -> tuple[pd.DataFrame, ...]:
        """The rows of each request, which every contender gets in this order, again and again."""
        return frames(self._table, self._sizes)

    def bodies(self) -> tuple[bytes, ...]:
        """The bodies of these requests in DRUM's format."""
        if self.kind == "upload":
            return (csv_body_of_size(UPLOAD_BYTES),)
        if self.model == "echo":
            return tuple(
                json.dumps({"numbers": list(range(start, start + 100))}).encode() for start in range(self._different)
            )
        return csv_bodies(self._table, self._sizes)

    @property
    def _table(self) -> str:
        return DATA[self.data].table if self.data else "hangs" if self.kind == "storm" else "floats"

    @property
    def _sizes(self) -> tuple[int, ...]:
        return self.sizes or (self.rows,) * self._different

    @property
    def _different(self) -> int:
        """How many requests differ: enough that no server profits from repetition, and few megabytes at most."""
        if self.kind == "storm":
            return HANGS_EVERY
        return 64 if self.rows == 1 else 4 if self.rows <= 100 else 1

    def expected_seconds(self, seconds: float) -> float:
        """Estimated duration of one measurement, when a closed-loop one takes ``seconds``."""
        usual = {"closed": seconds, "open": seconds + 1, "chat": 5.0, "probes": seconds + 1, "upload": 8.0, **LIFE}
        return self.seconds or usual[self.kind]


LOADS = ((1, 1), (1, 16), (1, 64), (100, 16))
"""Rows and connections that every model is measured with."""
_QUICK = ("ridge", "mixed")


def _closed(data: Data, rows: int, connections: int) -> Scenario:
    load = f"{rows:,} row{'s' if rows > 1 else ''}, c={connections}"
    quick = data.name in _QUICK
    return Scenario(load, "closed", data.model, data.name, rows=rows, connections=connections, quick=quick)


def _workers(data: str, workers: int) -> Scenario:
    load = f"1 row, {workers} workers, c=16"
    return Scenario(load, "closed", DATA[data].model, data, connections=16, workers=workers)


def _open(share: float, words: str) -> Scenario:
    load = f"1 row, open loop at {words} DRUM's rate"
    return Scenario(load, "open", data="ridge", rate_of=share, reference="ridge, 1 row, c=16")


_LARGE = "The model is an array of 1 GiB in each of the workers."

SCENARIOS = (
    *(_closed(DATA["ridge"], rows, connections) for rows, connections in (*LOADS, (10_000, 16))),
    Scenario("body of 1 MB, c=4", "closed", data="ridge", rows=5_000, connections=4),
    Scenario(
        "mixed sizes, c=16",
        "closed",
        data="ridge",
        sizes=spread(MIXED_SIZES),
        connections=16,
        note="Of a hundred requests 60 have 1 row, 25 have 10, 10 have 100, 4 have 1,000 and 1 has 5,000, in the same "
        "order for every server.",
    ),
    *(_workers("ridge", workers) for workers in (2, 4)),
    _open(0.5, "half of"),
    _open(2.0, "twice"),
    Scenario("upload of 100 MB", "upload", data="ridge"),
    *(_closed(data, *load) for data in DATA.values() if data.name != "ridge" for load in LOADS),
    *(_workers("mixed", workers) for workers in (2, 4)),
    Scenario(
        "unstructured JSON, c=16",
        "closed",
        "echo",
        connections=16,
        path="/predictUnstructured/",
        content_type="application/json",
    ),
    Scenario("sleeping model, c=16", "closed", "sleep", connections=16),
    Scenario(
        "async hook that waits, c=256",
        "closed",
        "await",
        connections=256,
        note=f"{NO_ASYNC_HOOKS} do not call `async def` hooks and are asked for the same wait in a sync hook.",
    ),
    Scenario("chat stream, 50 clients", "chat", "chat", connections=50, path="/v1/chat/completions"),
    Scenario(
        "LLM proxy, 500 streams",
        "chat",
        "proxy",
        connections=500,
        path="/v1/chat/completions",
        seconds=20.0,
        note="The chat hook is an `async def` that yields; DRUM does not call such hooks and is asked for the same "
        "chunks and pauses in a sync one. After 20 s the streams that have not ended are abandoned: their tokens "
        "count, they are no errors, and those without a first token by then count as if it had come at the end.",
    ),
    Scenario("probes beside a model that holds the GIL", "probes", "hold"),
    Scenario(
        "deadline storm, c=16",
        "storm",
        "hang",
        connections=16,
        seconds=30.0,
        timeout=2.0,
        note="Every hundredth call sleeps for an hour, the others answer at once. Where a server has a timeout of "
        "calls it is 2 s; FastAPI, MLServer and KServe have none, and their app stops waiting after 2 s, which leaves "
        "the thread asleep. Clients give up after 5 s. Goodput: answers with 200 per second; latencies are theirs.",
    ),
    Scenario(
        "rolling restart, 16 clients",
        "rollout",
        connections=16,
        note="Four times a server starts beside two that are asked through HAProxy, and when it answers the oldest "
        "gets SIGTERM; lost is each request that had no 200.",
    ),
    Scenario("start with a model of 1 GB, 4 workers", "start", "large", workers=4, note=_LARGE),
    Scenario("memory with a model of 1 GB, 4 workers", "memory", "large", workers=4, note=_LARGE),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def choose(names: list[str] | None, *, quick: bool, workers: list[int] | None = None) -> list[Scenario]:
    """The scenarios that ``names`` name or whose names contain them, and those that they refer to; without names all,
    or all quick ones. ``workers`` keeps those with that many workers. Raises UnknownNameError."""
    found: set[str] = set()
    for name in names or ():
        parts = [known for known in BY_NAME if name.lower() in known.lower()]
        if not parts:
            raise UnknownNameError(name)
        # "ridge, 1 row, c=1" is a scenario, and a part of the name of another one
        found.update([known for known in parts if known.lower() == name.lower()] or parts)
    wanted = [
        scenario
        for scenario in SCENARIOS
        if (scenario.name in found if names else scenario.quick or not quick)
        and (not workers or scenario.workers in workers)
    ]
    chosen = {scenario.name for scenario in wanted} | {scenario.reference for scenario in wanted}
    return [scenario for scenario in SCENARIOS if scenario.name in chosen]
