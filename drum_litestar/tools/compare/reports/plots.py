"""Plots as inline SVG, drawn by Matplotlib without a display."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from drum_litestar.tools.compare.live.rollout import Event
from drum_litestar.tools.compare.outcomes import percentile
from drum_litestar.tools.compare.reports.summary import Series

COLOURS: Final = {"baseline": "#4878a8", "candidate": "#d1642c"}
"""Distinguishable with any kind of colour vision."""
MOST_POINTS: Final = 2000
QUANTILES: Final = tuple(step / 5 for step in range(501))


def latency_distribution(latencies: Series) -> str:
    """Cumulative distribution of latencies: percentage of requests over milliseconds."""
    figure, axes = _figure("Latency: share of requests answered within")
    for name, values in _named(latencies):
        ordered = sorted(values)
        axes.plot(
            [percentile(ordered, share) * 1000 for share in QUANTILES], QUANTILES, label=name, color=COLOURS[name]
        )
    axes.axhline(99, color="#999999", linewidth=0.8, linestyle=":")
    axes.set(xlabel="milliseconds", ylabel="% of requests", ylim=(0, 101))
    if min(*latencies.baseline, *latencies.candidate) > 0:
        axes.set_xscale("log")
    axes.legend()
    return _svg(figure)


def latency_over_requests(latencies: Series) -> str:
    """Latency of each request in order, thinned out evenly when there are many."""
    figure, axes = _figure("Latency of each request")
    for name, values in _named(latencies):
        stride = len(values) // MOST_POINTS + 1
        axes.plot(
            range(0, len(values), stride), [value * 1000 for value in values[::stride]], label=name,
            color=COLOURS[name], marker=".", markersize=3, linestyle="none",
        )  # fmt: skip
    axes.set(xlabel="request", ylabel="milliseconds")
    axes.set_ylim(bottom=0)
    axes.legend()
    return _svg(figure)


def share_over_time(events: Sequence[Event]) -> str:
    """The candidate's share of the traffic, step by step."""
    figure, axes = _figure("Share of requests answered by the candidate")
    times = [datetime.fromisoformat(event.at) for event in events]
    seconds = [(at - times[0]).total_seconds() for at in times]
    axes.step(seconds, [event.share for event in events], where="post", color=COLOURS["candidate"], marker="o")
    axes.set(xlabel="seconds since the start", ylabel="%", ylim=(-3, 103))
    return _svg(figure)


def _named(latencies: Series) -> tuple[tuple[str, tuple[float, ...]], ...]:
    return (("baseline", latencies.baseline), ("candidate", latencies.candidate))


def _figure(title: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.grid(visible=True, color="#e5e5e5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    """The ``<svg>`` element, with text as text, so that no font is embedded."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "compare", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
