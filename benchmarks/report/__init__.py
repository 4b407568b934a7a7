"""``report.md`` and its plots, from a result."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report.markdown import render
from benchmarks.report.plots import draw
from benchmarks.report.result import Result


def write(result: Result, folder: Path) -> Path:
    """Write the plots and the report that shows them into ``folder``; the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = draw(result, folder)
    path = folder / "report.md"
    path.write_text(render(result, plots))
    return path
