"""Result of a run: samples, medians over its rounds, ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

Figures: TypeAlias = dict[str, float]
"""Measured values by name: ``rate`` (requests/s), ``p50``, ``p95``, ``p99`` (ms), ``errors``, ``requests``, ..."""

BASE = "drum"
"""The contender that all ratios are to."""
OURS = ("ours", "batched", "inline", "threads", "gevent", "lame-duck")
"""The contenders that are configurations of this server; the first one has the default settings."""
THIS_SERVER = (*OURS, "arrow", "v2", "v2-binary", "ray", "ray-2", "ray-haproxy", "ray-haproxy-2")
"""Those, and this server with requests of other formats and in Ray: none of them is a rival."""


class Headline(msgspec.Struct, frozen=True):
    """The headline figure of a kind of scenario."""

    figure: str
    unit: str
    more_is_better: bool


HEADLINES = {
    "closed": Headline("rate", "requests/s", True),
    "open": Headline("p99", "p99 ms", False),
    "chat": Headline("tokens", "tokens/s", True),
    "probes": Headline("p99", "p99 ms", False),
    "upload": Headline("p50", "ms", False),
    "storm": Headline("goodput", "good answers/s", True),
    "rollout": Headline("lost", "lost requests", False),
    "start": Headline("first", "first prediction after s", False),
    "memory": Headline("pss", "MiB", False),
}


class Sample(msgspec.Struct):
    """One measurement."""

    scenario: str
    contender: str
    round: int
    figures: Figures


class Described(msgspec.Struct):
    """The parts of a scenario that a report needs."""

    kind: str
    work: str
    """Model and rows: the key of its plain loop."""
    workers: int
    data: str = ""
    """Model and rows by name; empty: the model does not look at them, or the result is older than the name."""
    load: str = ""
    """The load, in words that scenarios with other data share."""
    note: str = ""
    """What a reader of the scenario's table must know."""


class Absence(msgspec.Struct):
    """A contender, or one scenario of it, that could not be measured."""

    contender: str
    why: str
    scenario: str = ""
    """Empty: all of them."""
    expected: bool = False
    """The contender does not support the scenario; else it failed."""


class Start(msgspec.Struct):
    """One cold start."""

    contender: str
    model: str
    workers: int
    seconds: float
    """Until the first prediction."""
    pss: list[float]
    """MiB of each process after the scenarios of this start, the server itself first."""
    uploaded: bool = False
    """After an upload."""


class Result(msgspec.Struct):
    """Everything of one run; ``result.json``."""

    created: str
    machine: dict[str, str]
    settings: dict[str, str]
    contenders: dict[str, str]
    """Titles, in the order of the report."""
    described: dict[str, Described]
    """The scenarios, in the order of the report."""
    versions: dict[str, dict[str, str]]
    commands: dict[str, str]
    samples: list[Sample]
    starts: list[Start]
    absences: list[Absence]
    plain_loop: dict[str, list[float]]
    """Model and rows, and calls/s of our predictor on its bodies in a plain loop without a server, in each round."""
    public_loop: dict[str, list[float]] = {}
    """The same without shortcuts: through public interfaces of pandas and the frameworks only."""
    data: dict[str, str] = {}
    """What :attr:`Described.data` names, in words."""

    def scenarios(self) -> list[str]:
        """Those that were measured, in the order of the report."""
        seen = {sample.scenario for sample in self.samples}
        return [name for name in self.described if name in seen]

    def headline(self, scenario: str) -> Headline:
        """The scenario's headline figure."""
        return HEADLINES[self.described[scenario].kind]

    def gain(self, scenario: str, contender: str) -> float | None:
        """Ratio to :data:`BASE` in the scenario's headline figure; below 1 is worse."""
        headline = self.headline(scenario)
        ratio = self.ratio(scenario, contender, headline.figure)
        return ratio if ratio is None or headline.more_is_better else (1 / ratio if ratio else None)

    def values(self, scenario: str, contender: str, figure: str) -> list[float]:
        """One value for each round that has it."""
        return [
            sample.figures[figure]
            for sample in self.samples
            if (sample.scenario, sample.contender) == (scenario, contender) and figure in sample.figures
        ]

    def middle(self, scenario: str, contender: str, figure: str) -> float | None:
        """The median over the rounds."""
        values = self.values(scenario, contender, figure)
        return statistics.median(values) if values else None

    def sound(self, scenario: str, contender: str) -> bool:
        """Whether at most one request in a hundred failed; the rate of one that rejects requests is meaningless, but
        goodput counts good answers only."""
        if self.headline(scenario).figure == "goodput":
            return True
        failed, asked = (self.middle(scenario, contender, figure) or 0.0 for figure in ("errors", "requests"))
        return failed <= asked / 100

    def starts_of(self, contender: str, model: str = "ridge", workers: int = 1) -> list[Start]:
        """Its cold starts with that model."""
        key = (contender, model, workers, False)
        return [s for s in self.starts if (s.contender, s.model, s.workers, s.uploaded) == key]

    def limit(self, scenario: str, *, public: bool = False) -> float | None:
        """Calls/s of the plain loop with shortcuts, or the public one without, times the workers."""
        described = self.described[scenario]
        rates = (self.public_loop if public else self.plain_loop).get(described.work)
        return statistics.median(rates) * described.workers if rates and described.kind == "closed" else None

    def by_data(self) -> dict[str, list[str]]:
        """The measured scenarios of each data, in the order of the report; those without data come last."""
        groups: dict[str, list[str]] = {name: [] for name in (*self.data, "")}
        for scenario in self.scenarios():
            groups[self.described[scenario].data].append(scenario)
        return {name: found for name, found in groups.items() if found}

    def ratio(self, scenario: str, contender: str, figure: str) -> float | None:
        """To :data:`BASE` in the same run."""
        own, base = self.middle(scenario, contender, figure), self.middle(scenario, BASE, figure)
        return own / base if own is not None and base else None


def save(result: Result, folder: Path) -> Path:
    """Write ``result.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "result.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    return path


def load(path: Path) -> Result:
    """Read a ``result.json``, or the folder that has one."""
    return msgspec.json.decode((path / "result.json" if path.is_dir() else path).read_bytes(), type=Result)


def percentile(values: Sequence[float], share: int) -> float:
    """The value that ``share`` percent of ``values`` do not exceed (nearest rank)."""
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)]


def latencies(seconds: Sequence[float]) -> Figures:
    """``p50``, ``p95`` and ``p99`` in ms."""
    return {f"p{share}": percentile(seconds, share) * 1e3 for share in (50, 95, 99)}
