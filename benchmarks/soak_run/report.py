"""The result of a soak as JSON, as Markdown and as a plot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.report.panels import save
from benchmarks.report.tables import table
from benchmarks.soak_run.growth import WARM_CALLS, Slope
from benchmarks.soak_run.records import Ended, Header, Recorded, Sample, Unexpected

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SAMPLES = 400
PLOT = "memory.svg"


class Result(msgspec.Struct):
    """``result.json``."""

    header: Header
    slopes: list[Slope]
    failures: list[str]
    """Why the run failed; empty if it did not."""
    unexpected: list[Unexpected]
    ended: Ended | None
    answers: dict[str, dict[str, int]]
    faults: dict[str, int]
    restarts: dict[str, int]
    requests: int
    samples: list[Sample]
    """At most :data:`MOST_SAMPLES` with the last one, without the counters of answers."""


def result_of(recorded: Recorded, slopes: list[Slope], failures: list[str]) -> Result:
    last = recorded.samples[-1]
    step = -(-len(recorded.samples) // (MOST_SAMPLES - 1))
    kept = [*recorded.samples[:-1:step], last]
    samples = [msgspec.structs.replace(sample, answers={}) for sample in kept]
    return Result(
        recorded.header,
        slopes,
        failures,
        recorded.unexpected,
        recorded.ended,
        last.answers,
        last.faults,
        last.restarts,
        last.requests,
        samples,
    )


def write(result: Result, folder: Path) -> Path:
    """Write ``result.json``, ``report.md`` and the plot; returns the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_bytes(msgspec.json.encode(result) + b"\n")
    draw(result, folder / PLOT)
    report = folder / "report.md"
    report.write_text("\n\n".join(_blocks(result)) + "\n")
    return report


def _blocks(result: Result) -> Iterable[str]:
    header, last = result.header, result.samples[-1]
    yield f"# Soak of {header.created[:16].replace('T', ' ')} UTC"
    yield "\n".join(f"- {name}: {value}" for name, value in header.machine.items())
    yield (
        f"{last.at / 60:.0f} minutes at {header.rate:g} requests/s, phases of {header.phase / 60:g} minutes without "
        f"and with faults in turn, there a fault every {header.fault_interval:g} s: {result.requests:,} requests, "
        f"{last.crashes:,} workers that died or were stopped at their deadline. The server and its workers took "
        f"{last.cpu / last.at:.2f} CPU cores on average. Its settings:"
    )
    yield table(["variable", "value"], [[f"`{name}`", f"`{value}`"] for name, value in header.settings.items()])
    yield "## Verdict"
    yield "\n".join(f"- {failure}" for failure in result.failures) or "Nothing unexpected, no growth above its bound."
    yield "## Growth"
    yield (
        "Least squares; the HTTP process's memory over requests and crashes together, without the warm-up. Errors are "
        "one standard error (Newey and West). Workers: over the calls of their own lives without the first "
        f"{WARM_CALLS:,}, each with a level of its own. The server's own processes share pages: when more processes "
        "share one, PSS falls although nothing was freed."
    )
    rows = [
        [slope.process, slope.what, slope.per, f"{slope.value:+.2f} ± {slope.error:.2f}", f"{slope.bound:g}"]
        for slope in result.slopes
    ]
    yield table(["process", "growth of", "per", "slope", "bound"], rows)
    yield f"![Memory of the HTTP process and of the workers over time; phases with faults are grey]({PLOT})"
    yield "## Requests and outcomes"
    yield (
        "`after a fault`: 503 or 504 of a call while a worker dies or is replaced, which is announced and expected. "
        "`refused`: 503 of a call that no worker was free for in time. `left`: the client closed the connection."
    )
    yield table(
        ["request", "sent", "outcomes"],
        [[kind, f"{sum(counts.values()):,}", _counted(counts)] for kind, counts in result.answers.items()],
    )
    yield f"Faults that were caused: {_counted(result.faults)}. Workers that the server replaced: " + (
        f"{_counted(result.restarts)}."
    )
    yield "## Unexpected answers"
    examples = [[one.kind, one.outcome, f"{one.at:.0f} s", f"`{_plain(one.example)}`"] for one in result.unexpected]
    yield table(["request", "outcome", "first at", "example"], examples) if examples else "None."


def _counted(counts: dict[str, int]) -> str:
    return (
        ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"
    )


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'") or " "


def draw(result: Result, path: Path) -> None:
    """Plot memory, crashes and latency over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    samples = result.samples
    minutes = [sample.at / 60 for sample in samples]
    figure, (http, workers, latency) = plt.subplots(
        3, 1, figsize=(10, 8), layout="constrained", sharex=True, height_ratios=(3, 3, 2)
    )
    for what, color in (("rss", "#0b5cad"), ("pss", "#12a1a6"), ("uss", "#86bdf0")):
        http.plot(minutes, [getattr(sample.http, what) for sample in samples], color=color, lw=1, label=what.upper())
        shown = [(minute, worker) for minute, sample in zip(minutes, samples, strict=True) for worker in sample.workers]
        workers.plot(
            [minute for minute, _ in shown],
            [getattr(worker, what) for _, worker in shown],
            ".",
            color=color,
            ms=2,
            label=what.upper(),
        )
    _titled(http, "HTTP process, MiB; dashed: crashes so far")
    _titled(workers, "each worker, MiB")
    crashes = http.twinx()
    crashes.plot(minutes, [sample.crashes for sample in samples], color="#c0392b", lw=1, ls="--")
    crashes.set_ylabel("crashes", fontsize=8)
    crashes.tick_params(labelsize=8)
    for name, color in (("p50", "#0b5cad"), ("p99", "#c9541a")):
        known = [(minute, getattr(sample, name)) for minute, sample in zip(minutes, samples, strict=True)]
        latency.plot(*zip(*[pair for pair in known if pair[1] is not None], strict=True), color=color, lw=1, label=name)
    latency.set_yscale("log")
    _titled(latency, "one row of CSV: latency of answers with 200, ms (log scale)")
    latency.set_xlabel("minutes", fontsize=8)
    for axes in (http, workers, latency):
        for begin, end in _faulty(samples):
            axes.axvspan(begin / 60, end / 60, color="#999999", alpha=0.15, lw=0)
        axes.legend(fontsize=7, frameon=False, loc="upper left", ncols=3)
    save(figure, path)


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _faulty(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Begin and end of the phases with faults, in seconds."""
    found: list[tuple[float, float]] = []
    begin = None
    for sample in samples:
        if sample.faulty and begin is None:
            begin = sample.at
        elif not sample.faulty and begin is not None:
            found.append((begin, sample.at))
            begin = None
    return [*found, (begin, samples[-1].at)] if begin is not None else found
