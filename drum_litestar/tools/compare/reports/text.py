"""The text report, for a terminal or a pipeline's log."""

from __future__ import annotations

import math
from collections.abc import Iterator

from drum_litestar.tools.compare.reports.summary import Summary

SHOWN = 20
"""Findings printed; the other reports have more."""


def render(summary: Summary) -> str:
    return "\n".join(_lines(summary))


def milliseconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.2f}"


def counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in statuses.items()) or "none"


def drift(summary: Summary) -> str:
    """Text of the largest numeric difference; empty when all numbers were equal."""
    if not summary.largest_absolute_drift:
        return ""
    return f"absolute {summary.largest_absolute_drift:.3g}, relative {summary.largest_relative_drift:.3g}"


def _lines(summary: Summary) -> Iterator[str]:
    yield f"{summary.mode}: {summary.pairs} requests compared in {summary.seconds:.1f} s ({summary.rule})"
    width = max(len(name) for name in summary.baseline.latency)
    header = "  ".join(f"{name + ' ms':>{width + 6}}" for name in summary.baseline.latency)
    yield f"  {'':<10}{header}  answers"
    for name, side in (("baseline", summary.baseline), ("candidate", summary.candidate)):
        values = "  ".join(f"{milliseconds(value):>{width + 6}}" for value in side.latency.values())
        yield f"  {name:<10}{values}  {counts(side.statuses)}  {side.url}"
    if drift(summary):
        yield f"  largest numeric difference: {drift(summary)}"
    for reason, count in summary.not_compared.items():
        yield f"  not compared: {count} ({reason})"
    for event in summary.events:
        yield f"  {event.at} {event.text}"
    for note in summary.notes:
        yield f"  note: {note}"
    for finding in summary.findings[:SHOWN]:
        yield f"  {finding.kind}: {finding.request}: {finding.text}"
    if len(summary.findings) > SHOWN:
        yield f"  ... {len(summary.findings) - SHOWN} more in the JSON, JUnit and HTML reports"
    for check in summary.checks:
        yield f"  {'ok  ' if check.ok else 'FAIL'} {check}"
    yield "PASS" if summary.passed else "FAIL"
