"""Small multiples of horizontal bars."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report.result import BASE
from benchmarks.report.tables import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {
    "ours": "#0b5cad",
    "batched": "#3d8fdd",
    "inline": "#86bdf0",
    "threads": "#12a1a6",
    "gevent": "#0b7a75",
    "arrow": "#0d6f78",
    "v2": "#1b2f8a",
    "v2-binary": "#5a6fd6",
    "ray": "#4a7f9e",
    "ray-2": "#7fa9c2",
    "ray-haproxy": "#2f5f7a",
    "ray-haproxy-2": "#a9c6d8",
    "lame-duck": "#5f7fd9",
    BASE: "#2b2b2b",
    "drum-gevent": "#6b6b6b",
    "drum-werkzeug": "#a3a3a3",
    "fastapi": "#2f9e57",
    "granian": "#93d6ab",
    "litserve": "#8a4fbf",
    "litserve-batched": "#c3a0e0",
    "mlserver": "#c9541a",
    "mlserver-batched": "#f0a47c",
    "mlserver-binary": "#8f3a0f",
    "bentoml": "#b8860b",
    "bentoml-batched": "#e3c15b",
    "ray-plain": "#8bb300",
    "ray-plain-2": "#b9d94f",
    "ray-plain-haproxy": "#647f00",
    "mosec": "#c2185b",
    "mosec-batched": "#ef7fae",
    "kserve": "#5b2a6e",
    "gunicorn-dirty": "#7a5542",
    "mlflow": "#e5484d",
}
LIMITS = {"plain loop with shortcuts": "black", "plain loop without shortcuts": "#c0392b"}
"""Dashed lines and their colors."""


@dataclass(frozen=True)
class Bar:
    """The rounds of one contender, and the text after its figure."""

    contender: str
    title: str
    values: Sequence[float]
    note: str


@dataclass(frozen=True)
class Panel:
    """One small plot."""

    title: str
    direction: str
    bars: Sequence[Bar]
    limits: Sequence[float] = ()
    """Of the plain loop, in the order of :data:`LIMITS`."""


def color(contender: str) -> str:
    """Blue for this server, grey for DRUM, another color for each other one."""
    return COLORS.get(contender, "#999999")


def text_color(contender: str) -> str:
    """Color of the text beside its dot."""
    return COLORS.get(contender, "#333333") if contender in ("ours", BASE) else "#444444"


def bars(groups: Sequence[Sequence[Panel]], title: str, columns: int) -> Figure | None:
    """One figure of all panels, each group on lines of its own; None without any."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    shown = [[panel for panel in group if panel.bars] for group in groups]
    lines = [group[start : start + columns] for group in shown for start in range(0, len(group), columns)]
    if not lines:
        return None
    columns = max(len(line) for line in lines)
    heights = [0.9 + 0.2 * max(len(panel.bars) for panel in line) for line in lines]
    size = (1.6 + 3.6 * columns, 0.5 + sum(heights))
    figure, grid = plt.subplots(
        len(lines), columns, figsize=size, layout="constrained", squeeze=False, height_ratios=heights
    )
    for row, line in zip(grid, lines, strict=True):
        before: list[str] = []
        for axes, panel in zip(row, line, strict=False):
            titles = [bar.title for bar in panel.bars]
            _bars(axes, panel, [] if titles == before else titles)
            before = titles
        for axes in row[len(line) :]:
            axes.set_visible(False)
    figure.suptitle(title, fontsize=11)
    if any(panel.limits for line in lines for panel in line):
        handles = [Line2D([], [], color=color, ls="--", lw=1, label=words) for words, color in LIMITS.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _bars(axes: Axes, panel: Panel, titles: Sequence[str]) -> None:
    """``titles``: of the bars; none where the panel to the left has the same."""
    middles = [statistics.median(bar.values) for bar in panel.bars]
    widest = max(*middles, *panel.limits, *(max(bar.values) for bar in panel.bars), 1e-9)
    plain = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.4}
    for line, (bar, middle) in enumerate(zip(panel.bars, middles, strict=True)):
        axes.barh(line, middle, color=color(bar.contender), height=0.7)
        low, high = min(bar.values), max(bar.values)
        if high > low:
            axes.plot([low, high], [line, line], color="black", lw=0.8, marker="|", ms=5)
        words = f"{number(middle)}{bar.note}"
        place = (max(middle, high), line)
        axes.annotate(words, place, (4, 0), textcoords="offset points", va="center", fontsize=7, bbox=plain)
    for limit, line_color in zip(panel.limits, LIMITS.values(), strict=False):
        axes.axvline(limit, color=line_color, ls="--", lw=0.9)
    axes.set_xlim(0, widest * 1.45)
    axes.set_yticks(range(len(panel.bars)), titles or [""] * len(panel.bars), fontsize=7)
    axes.invert_yaxis()
    axes.set_title(f"{panel.title}\n{panel.direction}", fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write and close the figure; the same figures give the same file."""
    import matplotlib
    import matplotlib.pyplot as plt

    with matplotlib.rc_context({"svg.hashsalt": "benchmarks"}):
        figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
