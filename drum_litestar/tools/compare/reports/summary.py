"""What every report is made from."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.live.rollout import Event
from drum_litestar.tools.compare.outcomes import Case, Finding, Side, Tally, percentiles
from drum_litestar.tools.compare.verdict import Check


class SideSummary(msgspec.Struct, frozen=True):
    """One server. Latencies are in seconds, in the order of the requests; in JSON only their percentiles stand."""

    url: str
    statuses: dict[str, int]
    latency: dict[str, float]


class Series(msgspec.Struct, frozen=True):
    """What plots show, but JSON does not: latencies in seconds."""

    baseline: tuple[float, ...]
    candidate: tuple[float, ...]


class Summary(msgspec.Struct, frozen=True):
    """The whole outcome; :func:`msgspec.json.encode` of it is the JSON report (NaN and infinity become null)."""

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
    tally: Tally,
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
    """``urls``: baseline's and candidate's; ``started``: ISO 8601. Passed when every check is met."""
    return Summary(
        mode=mode,
        passed=all(check.ok for check in checks),
        checks=list(checks),
        started=started,
        seconds=seconds,
        rule=f"{comparison.rule}; headers {', '.join(comparison.headers) or 'none'}",
        baseline=_side(urls[0], tally.baseline),
        candidate=_side(urls[1], tally.candidate),
        pairs=tally.pairs,
        errors=tally.errors,
        mismatches=tally.mismatches,
        incomparable=tally.incomparable,
        not_compared=dict(tally.not_compared),
        largest_absolute_drift=comparison.largest_absolute,
        largest_relative_drift=comparison.largest_relative,
        findings=tally.findings,
        cases=tally.cases or [],
        events=list(events),
        notes=list(notes),
    )


def series(tally: Tally) -> Series:
    return Series(tuple(tally.baseline.latencies), tuple(tally.candidate.latencies))


def _side(url: str, side: Side) -> SideSummary:
    return SideSummary(url, dict(sorted(side.statuses.items())), percentiles(side.latencies))
