"""Summary of a comparison, the input of every report."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.live.rollout import Event
from drum_litestar.tools.compare.outcomes import Case, Counters, Finding, Side, percentiles
from drum_litestar.tools.compare.verdict import Check


class SideSummary(msgspec.Struct, frozen=True):
    """Summary of one server: answers by status, percentiles of the latency in seconds."""

    url: str
    statuses: dict[str, int]
    latency: dict[str, float]


class Series(msgspec.Struct, frozen=True):
    """Latencies in seconds, for plots; not part of the JSON report."""

    baseline: tuple[float, ...]
    candidate: tuple[float, ...]


class Summary(msgspec.Struct, frozen=True):
    """The whole result. Its JSON encoding is the JSON report (NaN and infinity become null)."""

    mode: str
    passed: bool
    checks: list[Check]
    started: str
    seconds: float
    rule: str
    baseline: SideSummary
    candidate: SideSummary
    pairs: int
    errors: int
    mismatches: int
    incomparable: int
    not_compared: dict[str, int]
    largest_absolute_drift: float
    largest_relative_drift: float
    findings: list[Finding]
    cases: list[Case]
    events: list[Event]
    notes: list[str]


def summarise(
    counters: Counters,
    comparison: Comparison,
    checks: Sequence[Check],
    *,
    mode: str,
    urls: tuple[str, str],
    started: str,
    seconds: float,
    events: Sequence[Event] = (),
    notes: Sequence[str] = (),
) -> Summary:
    """Make the summary. ``urls``: baseline's and candidate's; ``started``: ISO 8601."""
    return Summary(
        mode=mode,
        passed=all(check.ok for check in checks),
        checks=list(checks),
        started=started,
        seconds=seconds,
        rule=f"{comparison.rule}; headers {', '.join(comparison.headers) or 'none'}",
        baseline=_side(urls[0], counters.baseline),
        candidate=_side(urls[1], counters.candidate),
        pairs=counters.pairs,
        errors=counters.errors,
        mismatches=counters.mismatches,
        incomparable=counters.incomparable,
        not_compared=dict(counters.not_compared),
        largest_absolute_drift=comparison.largest_absolute,
        largest_relative_drift=comparison.largest_relative,
        findings=counters.findings,
        cases=counters.cases or [],
        events=list(events),
        notes=list(notes),
    )


def series(counters: Counters) -> Series:
    return Series(tuple(counters.baseline.latencies), tuple(counters.candidate.latencies))


def _side(url: str, side: Side) -> SideSummary:
    return SideSummary(url, dict(sorted(side.statuses.items())), percentiles(side.latencies))
