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
    BASE: "#2b2b2b",
    "drum-gevent": "#6b6b6b",
    "drum-werkzeug": "#a3a3a3",
    "fastapi": "#2f9e57",
    "litserve": "#8a4fbf",
    "litserve-batched": "#c3a0e0",
    "mlserver": "#c9541a",
    "mlserver-batched": "#f0a47c",
    "bentoml": "#b8860b",
    "bentoml-batched": "#e3c15b",
}


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
    limit: float | None


def color(contender: str) -> str:
    """Blue for this server, grey for DRUM, another color for each other one."""
    return COLORS.get(contender, "#999999")


def text_color(contender: str) -> str:
    """Color of the text beside its dot."""
    return COLORS.get(contender, "#333333") if contender in ("ours", BASE) else "#444444"


def bars(panels: Sequence[Panel], title: str, columns: int) -> Figure | None:
    """One figure of all panels; None without any."""
    import matplotlib.pyplot as plt

    panels = [panel for panel in panels if panel.bars]
    if not panels:
        return None
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    tallest = max(len(panel.bars) for panel in panels)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.6 * columns, rows * (1.1 + 0.24 * tallest)), layout="constrained", squeeze=False
    )
    for axes, panel in zip(grid.flat, panels, strict=False):
        _bars(axes, panel)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def _bars(axes: Axes, panel: Panel) -> None:
    middles = [statistics.median(bar.values) for bar in panel.bars]
    widest = max(*middles, panel.limit or 0.0, *(max(bar.values) for bar in panel.bars), 1e-9)
    for line, (bar, middle) in enumerate(zip(panel.bars, middles, strict=True)):
        axes.barh(line, middle, color=color(bar.contender), height=0.7)
        low, high = min(bar.values), max(bar.values)
        if high > low:
            axes.plot([low, high], [line, line], color="black", lw=0.8, marker="|", ms=5)
        axes.text(max(middle, high), line, f" {number(middle)}{bar.note}", va="center", fontsize=7)
    if panel.limit:
        axes.axvline(panel.limit, color="black", ls="--", lw=0.8)
    axes.set_xlim(0, widest * 1.45)
    axes.set_yticks(range(len(panel.bars)), [bar.title for bar in panel.bars], fontsize=7)
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
