"""Outcomes: counters over pairs of answers, latencies, and the findings to report."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from drum_litestar.settings.masking import masked
from drum_litestar.tools.compare.diff import Difference
from drum_litestar.tools.compare.messages import Answer, Request

LATENCIES_KEPT: Final = 100_000
"""Latencies kept of each server: percentiles of a proxy that runs for days are those of the latest requests."""
FINDINGS_KEPT: Final = 100
SKIPPED: Final = "skipped paths"
"""Reason of requests that an option excludes from the comparison."""
PERCENTILES: Final = (50.0, 95.0, 99.0)


class Pair(msgspec.Struct, frozen=True):
    """One request and its answers from both servers.

    ``new_error``: the candidate failed or answered 5xx where the baseline did not. ``mismatch``: both answered,
    differently. A pair without an answer of the baseline's (``incomparable``) is neither. A baseline answer of status
    0 without an error means that the request was not sent to it.
    """

    request: str
    baseline: Answer
    candidate: Answer
    differences: tuple[Difference, ...] = ()

    @property
    def incomparable(self) -> bool:
        return self.baseline.failed

    @property
    def new_error(self) -> bool:
        return self.candidate.is_error and not self.baseline.is_error

    @property
    def mismatch(self) -> bool:
        return bool(self.differences) and not self.baseline.failed and not self.candidate.failed

    def explain(self) -> str:
        """The problem of the candidate's answer as one line, with secrets masked; empty without one."""
        if self.incomparable:
            return f"baseline: {self.baseline.summary()}"
        if self.candidate.failed:
            return f"candidate: {self.candidate.summary()}"
        if self.new_error and not self.differences:
            return f"candidate: {self.candidate.summary()}"
        return masked("; ".join(map(str, self.differences)))


class Finding(msgspec.Struct, frozen=True):
    """A pair with a problem, or that could not be compared, for reports."""

    request: str
    kind: str
    text: str


class Case(msgspec.Struct, frozen=True):
    """Summary of one pair, kept for each request of a corpus. ``problem`` is empty when the answers agree."""

    request: str
    problem: str
    baseline_seconds: float
    candidate_seconds: float


class Side:
    """Counters of one server's answers. ``unavailable``: answers without a ready model."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.unavailable = 0
        self.latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def count(self, answer: Answer) -> None:
        self.unavailable += answer.unavailable
        if answer.failed:
            self.statuses["no answer"] += 1
        else:
            self.statuses[str(answer.status) if answer.status else "not asked"] += 1


class Counters:
    """Counters over pairs. ``keep_cases`` keeps a :class:`Case` for each (a finite corpus), else only findings."""

    def __init__(self, *, keep_cases: bool = False) -> None:
        self.baseline = Side()
        self.candidate = Side()
        self.pairs = 0
        self.errors = 0
        self.mismatches = 0
        self.incomparable = 0
        self.not_compared: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self.cases: list[Case] | None = [] if keep_cases else None

    def count(self, pair: Pair) -> None:
        """Add a pair. Its latencies count only if both servers answered, so that percentiles are comparable."""
        self.pairs += 1
        self.baseline.count(pair.baseline)
        self.candidate.count(pair.candidate)
        self.errors += pair.new_error
        self.mismatches += pair.mismatch
        self.incomparable += pair.incomparable
        if pair.baseline.status and not pair.baseline.failed and not pair.candidate.failed:
            self.baseline.latencies.append(pair.baseline.seconds)
            self.candidate.latencies.append(pair.candidate.seconds)
        problem = pair.explain()
        if problem and len(self.findings) < FINDINGS_KEPT:
            kind = "incomparable" if pair.incomparable else "error" if pair.new_error else "mismatch"
            self.findings.append(Finding(pair.request, kind, problem))
        if self.cases is not None:
            self.cases.append(Case(pair.request, problem, pair.baseline.seconds, pair.candidate.seconds))


def paired(request: Request, baseline: Answer, candidate: Answer, differences: Iterable[Difference]) -> Pair:
    """Make a pair without headers and bodies."""
    before, after = (msgspec.structs.replace(answer, body=b"", headers=()) for answer in (baseline, candidate))
    return Pair(request.name, before, after, tuple(differences))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile of sorted values; NaN without values."""
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """``{"p50": ..., "p95": ..., "p99": ...}``."""
    ordered = sorted(values)
    return {f"p{percent:g}": percentile(ordered, percent) for percent in PERCENTILES}
