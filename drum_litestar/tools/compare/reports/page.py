"""The HTML report: one self-contained file, plots included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from drum_litestar.tools.compare.reports.plots import latency_distribution, latency_over_requests, share_over_time
from drum_litestar.tools.compare.reports.summary import Series, Summary
from drum_litestar.tools.compare.reports.text import counts, drift, milliseconds

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}
td{overflow-wrap:anywhere}.num{text-align:right;font-variant-numeric:tabular-nums}
.pass{color:#1a7f37}.fail{color:#c62828}svg{max-width:100%;height:auto}code{font-size:.9em}
"""


def render(summary: Summary, latencies: Series) -> str:
    word = "pass" if summary.passed else "fail"
    parts = [
        f'<h1>Comparison: <span class="{word}">{word.upper()}</span></h1>',
        f"<p>{escape(summary.mode)}, {escape(summary.started)}, {summary.seconds:.1f} s, "
        f"{summary.pairs} requests compared; {escape(summary.rule)}.</p>",
        *(f"<p>{escape(note)}</p>" for note in summary.notes),
        _section("Thresholds", _checks(summary)),
        _section("Servers", _servers(summary)),
        *_plots(summary, latencies),
        _section("Log", _table(("time", "share %", "event"), [(e.at, f"{e.share:g}", e.text) for e in summary.events]))
        if summary.events
        else "",
        _section(
            "Findings",
            _table(("kind", "request", "difference"), [(f.kind, f.request, f.text) for f in summary.findings]),
        )
        if summary.findings
        else "",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>drum-litestar compare: '
        f"{word}</title><style>{_STYLE}</style></head>\n<body>{''.join(parts)}</body></html>\n"
    )


def _checks(summary: Summary) -> str:
    rows = [("met" if check.ok else "BROKEN", check.name, check.value, check.limit) for check in summary.checks]
    extra = [("", f"not compared: {reason}", str(count), "") for reason, count in summary.not_compared.items()]
    if drift(summary):
        extra.append(("", "largest numeric difference", drift(summary), ""))
    return _table(("", "check", "value", "limit"), [*rows, *extra])


def _servers(summary: Summary) -> str:
    names = tuple(summary.baseline.latency)
    rows = [
        (name, side.url, *(milliseconds(side.latency[each]) for each in names), counts(side.statuses))
        for name, side in (("baseline", summary.baseline), ("candidate", summary.candidate))
    ]
    return _table(("", "URL", *(f"{each} ms" for each in names), "answers"), rows, numeric=range(2, 2 + len(names)))


def _plots(summary: Summary, latencies: Series) -> Iterable[str]:
    if latencies.baseline and latencies.candidate:
        yield _section("Latency", latency_distribution(latencies) + latency_over_requests(latencies))
    if len(summary.events) > 1:
        yield _section("Rollout", share_over_time(summary.events))


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>{content}\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    right = frozenset(numeric)

    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=num' if column in right else ''}>{escape(cell)}</{tag}>"
            for column, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><tr>{line('th', head)}</tr>{body}</table>"
