"""The report's first table: ratios to DRUM under each load, for each model and as the median over the models."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from benchmarks.report.result import BASE, Result
from benchmarks.report.tables import number, ratio, table

NOT_COUNTED = "ridge rounded"
"""Data that are shown, but not in the median: the ridge model again, with numbers that its fast path likes."""


@dataclass(frozen=True)
class Row:
    """One figure of one configuration under one load."""

    load: str
    figure: str
    unit: str
    contender: str


ROWS = (
    Row("1 row, c=1", "p50", "p50 ms (less is better)", "ours"),
    Row("1 row, c=16", "rate", "requests/s", "ours"),
    Row("1 row, c=64", "rate", "requests/s", "ours"),
    Row("1 row, c=64", "rate", "requests/s", "batched"),
    Row("100 rows, c=16", "rate", "requests/s", "ours"),
)


def ratios(result: Result, row: Row) -> dict[str, float]:
    """Ratio to DRUM for each data that has it."""
    found = {}
    for scenario in result.scenarios():
        described = result.described[scenario]
        if described.load == row.load and described.data and result.sound(scenario, row.contender):
            value = result.ratio(scenario, row.contender, row.figure)
            if value is not None:
                found[described.data] = value
    return found


def median(found: dict[str, float]) -> float | None:
    """Over the models; None without any."""
    counted = [value for data, value in found.items() if data != NOT_COUNTED]
    return statistics.median(counted) if counted else None


def lead(result: Result) -> str:
    """Markdown: a line for each load, a column for each model; empty for a result without DRUM or without loads."""
    known = [(row, found) for row in ROWS if (found := ratios(result, row))]
    if not known:
        return ""
    names = [name for name in result.data if any(name in found for _, found in known)]
    lines = []
    for row, found in known:
        cells = [_cell(result, row, name, found.get(name)) for name in names]
        lines.append([row.load, row.unit, result.contenders[row.contender], f"**{ratio(median(found))}**", *cells])
    words = [f"- {name}: {result.data[name]}" for name in names]
    if NOT_COUNTED in names:
        words[names.index(NOT_COUNTED)] += "; not in the median"
    head = ["load", "figure", "server", "median over models", *names]
    reading = "Ratio to DRUM in the same run; in brackets the server's own figure and DRUM's. The data:"
    return "\n\n".join([table(head, lines), reading, "\n".join(words)])


def _cell(result: Result, row: Row, data: str, share: float | None) -> str:
    """``6.70 (2,572; 384)``"""
    if share is None:
        return "-"
    scenario = next(s for s, d in result.described.items() if (d.data, d.load) == (data, row.load))
    own, base = (number(result.middle(scenario, name, row.figure)) for name in (row.contender, BASE))
    return f"{ratio(share)} ({own}; {base})"
