"""What has been seen: each pair of answers, counted; latencies; the mismatches worth showing."""

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
"""Percentiles of a proxy that runs for days are those of the latest requests."""
FINDINGS_KEPT: Final = 100
SKIPPED: Final = "skipped paths"
"""Why a request is not compared: it was asked for."""
PERCENTILES: Final = (50.0, 95.0, 99.0)


class Pair(msgspec.Struct, frozen=True):
    """One request and what became of it on both sides.

    ``new_error``: the candidate failed or answered 5xx where the baseline did not. ``mismatch``: both answered,
    differently. A pair without an answer of the baseline's (``incomparable``) is neither. A baseline answer of status
    0 without an error stands for one that was never asked for.
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
        """One line: what is wrong with the candidate's answer, without secrets; empty when nothing is."""
        if self.incomparable:
            return f"baseline: {self.baseline.summary()}"
        if self.candidate.failed:
            return f"candidate: {self.candidate.summary()}"
        if self.new_error and not self.differences:
            return f"candidate: {self.candidate.summary()}"
        return masked("; ".join(map(str, self.differences)))


class Finding(msgspec.Struct, frozen=True):
    """A pair that counts against the candidate (or that could not be compared), for reports."""

    request: str
    kind: str
    text: str


class Case(msgspec.Struct, frozen=True):
    """One pair, small enough to keep for each of a corpus. ``problem`` is empty when the answers agree."""

    request: str
    problem: str
    baseline_seconds: float
    candidate_seconds: float


class Side:
    """One server's answers; ``unavailable``: how many of them show that it was not serving."""

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


class Tally:
    """Counts over pairs. ``keep_cases`` keeps a line for each (a finite corpus), else only findings."""

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
        """Latencies count only where both answered, so that both sides' percentiles are of the same requests."""
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
    """A pair that no longer holds the bodies."""
    ours, theirs = (msgspec.structs.replace(answer, body=b"", headers=()) for answer in (baseline, candidate))
    return Pair(request.name, ours, theirs, tuple(differences))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Nearest rank of sorted values: the smallest that at least ``percent`` of them do not exceed; NaN for none."""
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """``{"p50": ..., "p95": ..., "p99": ...}``."""
    ordered = sorted(values)
    return {f"p{percent:g}": percentile(ordered, percent) for percent in PERCENTILES}
