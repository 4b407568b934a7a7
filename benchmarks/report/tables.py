"""The report's tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.report.result import BASE, OURS, THIS_SERVER, Result

COLUMNS = {
    "closed": ("rate", "p50", "p95", "p99", "errors", "cpu"),
    "open": ("asked", "rate", "p50", "p95", "p99", "errors", "cpu"),
    "chat": ("tokens", "p50", "p95", "p99", "unfinished", "errors", "cpu"),
    "probes": ("requests", "p50", "p95", "p99", "errors"),
    "upload": ("p50", "growth_http", "growth_tree", "errors"),
    "storm": ("goodput", "late", "p50", "p95", "p99", "errors", "hung", "ended"),
    "rollout": ("lost", "requests"),
    "start": ("first", "all"),
    "memory": ("pss", "processes"),
}
WORDS = {
    "rate": "requests/s",
    "p50": "p50 ms",
    "p95": "p95 ms",
    "p99": "p99 ms",
    "cpu": "CPU s/1000",
    "asked": "asked for/s",
    "tokens": "tokens/s",
    "requests": "probes",
    "growth_http": "growth of the receiving process, MiB",
    "growth_tree": "growth of all processes, MiB",
    "unfinished": "abandoned",
    "goodput": "good answers/s",
    "late": "in the last third",
    "hung": "calls that hung",
    "ended": "of them ended by the server",
    "lost": "lost requests",
    "first": "first prediction after s",
    "all": "all workers have answered after s",
    "pss": "memory (PSS) of all processes, MiB",
}
TO_FIRST = {"p50": "first token p50 ms", "p95": "p95 ms", "p99": "p99 ms"}
NO_ANSWER = " (no answer before the end of the measurement)"
NOTABLE = 1.05
"""Smaller differences are noise."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(head), "|".join(["---"] * len(head)), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)


def number(value: float | None) -> str:
    """Format with three significant digits."""
    if value is None:
        return "-"
    if abs(value) >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def with_spread(values: Sequence[float]) -> str:
    """Median and, of several values, the least and the greatest."""
    if not values:
        return "-"
    middle = number(statistics.median(values))
    low, high = number(min(values)), number(max(values))
    return middle if low == high else f"{middle} ({low}..{high})"


def ratio(value: float | None) -> str:
    """``2.51``, ``0.012``."""
    return "-" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def scenario_table(result: Result, scenario: str) -> str:
    """One line for each contender that was measured or failed."""
    kind = result.described[scenario].kind
    headline, columns, limit = result.headline(scenario), COLUMNS[kind], result.limit(scenario)
    words = {**WORDS, **(TO_FIRST if kind == "chat" else {"p50": "ms"} if kind == "upload" else {})}
    words |= {"requests": "requests"} if kind == "rollout" else {}
    head = ["server", *(words.get(column, column) for column in columns), "x DRUM"]
    head += ["p50 / DRUM"] if kind == "closed" else []
    head += ["of the limit"] if limit else []
    rows = []
    for name, title in result.contenders.items():
        cells = [with_spread(result.values(scenario, name, column)) for column in columns]
        if all(cell == "-" for cell in cells):
            continue
        row = [title, *cells, ratio(result.ratio(scenario, name, headline.figure))]
        row += [ratio(result.ratio(scenario, name, "p50"))] if kind == "closed" else []
        rate = result.middle(scenario, name, "rate")
        row[0] += NO_ANSWER if rate == 0 else ""
        row += [ratio(rate / limit if rate is not None else None)] if limit else []
        rows.append(row)
    return table(head, rows) + _limits(result, scenario)


def _limits(result: Result, scenario: str) -> str:
    """``Plain loop: 4,601 calls/s, without shortcuts 1,204.``"""
    short, public = result.limit(scenario), result.limit(scenario, public=True)
    if short is None:
        return ""
    return f"\n\nPlain loop: {number(short)} calls/s" + (f", without shortcuts {number(public)}." if public else ".")


def glance(result: Result) -> str:
    """Headline figures of DRUM, this server, and the best of the others."""
    own = [name for name in OURS if name in result.contenders]
    rows = []
    for scenario in result.scenarios():
        headline = result.headline(scenario)
        row = [scenario, headline.unit, number(result.middle(scenario, BASE, headline.figure))]
        row += [_value(result, scenario, name) for name in own]
        best = _best_other(result, scenario)
        row.append(f"{result.contenders[best]}: {_value(result, scenario, best)}" if best else "-")
        rows.append(row)
    titles = [result.contenders[name] for name in own]
    return table(["scenario", "figure", "DRUM", *titles, "best of the others"], rows)


def losses(result: Result) -> str:
    """Scenarios in which another server is better than this one with default settings, and its other configurations."""
    default, *others = [name for name in OURS if name in result.contenders] or [""]
    rows: list[list[str]] = []
    measured = False
    for scenario in result.scenarios():
        headline = result.headline(scenario)
        own = result.middle(scenario, default, headline.figure)
        if own is None:
            continue
        measured = True
        for name, title in result.contenders.items():
            theirs = result.middle(scenario, name, headline.figure)
            if name in THIS_SERVER or theirs is None or not result.sound(scenario, name):
                continue
            if theirs > own * NOTABLE if headline.more_is_better else own > theirs * NOTABLE:
                row = [scenario, headline.unit, title, number(theirs), number(own)]
                rows.append(row + [number(result.middle(scenario, other, headline.figure)) for other in others])
    if not measured:
        return "This server, as it comes, was not measured."
    if not rows:
        return "In no scenario was another server more than 5 % better than this one as it comes."
    head = ["scenario", "figure", "better server", "its figure", *(result.contenders[n] for n in (default, *others))]
    return table(head, rows)


def failures(result: Result) -> str:
    """Failed measurements, with their errors."""
    found: dict[tuple[str, str], list[str]] = {}
    for absence in result.absences:
        if not absence.expected:
            found.setdefault((absence.contender, absence.why), []).append(absence.scenario or "everything")
    blocks = [
        f"**{result.contenders[name]}**: {'; '.join(dict.fromkeys(scenarios))}\n\n```text\n{why}\n```"
        for (name, why), scenarios in found.items()
    ]
    return "\n\n".join(blocks) or "Everything ran."


def servers(result: Result) -> str:
    """Cold start and memory with the ridge model and one worker, and versions."""
    rows = []
    for name, title in result.contenders.items():
        starts = result.starts_of(name)
        versions = ", ".join(f"{package} {version}" for package, version in result.versions.get(name, {}).items())
        sizes = " + ".join(f"{size:.0f}" for size in starts[-1].pss) if starts else "-"
        total = with_spread([sum(start.pss) for start in starts])
        rows.append([title, with_spread([start.seconds for start in starts]), total, sizes, versions])
    return table(["server", "first prediction after s", "memory MiB", "of its processes", "versions"], rows)


def _best_other(result: Result, scenario: str) -> str | None:
    headline = result.headline(scenario)
    found = {
        name: value
        for name in result.contenders
        if name not in THIS_SERVER
        and name != BASE
        and result.sound(scenario, name)
        and (value := result.middle(scenario, name, headline.figure)) is not None
    }
    return (max if headline.more_is_better else min)(found, key=lambda name: found[name]) if found else None


def _value(result: Result, scenario: str, name: str) -> str:
    headline = result.headline(scenario)
    value, share = result.middle(scenario, name, headline.figure), result.ratio(scenario, name, headline.figure)
    return "-" if value is None else number(value) + (f" ({ratio(share)} x)" if share is not None else "")
