"""The report's plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.report.panels import Bar, Panel, bars, color, save, text_color
from benchmarks.report.result import BASE, OURS, THIS_SERVER, Result
from benchmarks.report.tables import NO_ANSWER, number, ratio
from benchmarks.workload.scenarios import LIFE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(result: Result, folder: Path, suffix: str = "svg") -> list[str]:
    """Write those plots that the result has figures for; their file names."""
    import matplotlib

    matplotlib.use("Agg")
    plots: dict[str, Callable[[Result], Figure | None]] = {
        "overview": overview,
        "throughput": lambda result: bars(_throughput(result), "Closed loop, requests/s", columns=4),
        "latency": latency,
        "special": lambda result: bars([_special(result)], "Streams, probes, uploads, calls that hang", columns=2),
        "life": lambda result: bars([_life(result)], "Rolling restart, a model of 1 GB", columns=2),
        "resources": lambda result: bars([_resources(result)], "One worker, ridge model", columns=3),
    }
    names = []
    for name, plot in plots.items():
        figure = plot(result)
        if figure is not None:
            save(figure, folder / f"{name}.{suffix}")
            names.append(f"{name}.{suffix}")
    return names


def overview(result: Result) -> Figure | None:
    """A panel for each model, in it a dot for each contender and load at its gain over DRUM; this server, the best and
    the worst are named."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    groups = {}
    for data, names in result.by_data().items():
        if known := [name for name in names if result.middle(name, BASE, result.headline(name).figure)]:
            groups[data] = known
    if not groups or BASE not in result.contenders:
        return None
    heights = [0.5 + 0.4 * len(names) for names in groups.values()]
    figure, grid = plt.subplots(
        len(groups),
        1,
        figsize=(10, 1.6 + sum(heights)),
        layout="constrained",
        squeeze=False,
        sharex=True,
        height_ratios=heights,
    )
    for axes, (data, names) in zip(grid[:, 0], groups.items(), strict=True):
        _gains(axes, result, names)
        words = f"{data}: {result.data[data]}" if data else "other models"
        axes.set_title(words if result.data else "", fontsize=9, loc="left", fontweight="bold")
    _log_scale(axes, "x", 5, 1.5)
    axes.set_xlabel("times as good as DRUM on gunicorn's sync worker, same run (log scale); left of 1 is worse")
    handles = [
        Line2D([], [], marker="o", ls="", color=color(name), label=result.contenders[name])
        for name in result.contenders
        if name != BASE
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=7, frameon=False)
    return figure


def _log_scale(axes: Axes, unit: str, left: float, right: float) -> None:
    """A logarithmic x axis with 1, 2, 5, 10, ... and room for text: so many times what the data need."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / left, high * right)
    steps = [step * 10.0**power for power in range(-3, 6) for step in (1, 2, 5)]
    shown = [step for step in steps if low / left <= step <= high * right]
    axes.set_xticks(shown, [f"{step:g}{unit}" for step in shown], fontsize=8)
    axes.minorticks_off()


def _gains(axes: Axes, result: Result, scenarios: Sequence[str]) -> None:
    """A line for each scenario."""
    for line, scenario in enumerate(scenarios):
        sound = [name for name in result.contenders if name != BASE and result.sound(scenario, name)]
        gains = {name: gain for name in sound if (gain := result.gain(scenario, name))}
        for name, gain in gains.items():
            own = name in THIS_SERVER
            axes.plot(gain, line, "o", color=color(name), ms=8 if own else 6, zorder=3 if own else 2, mec="white")
        for name, side in _named(gains).items():
            words = f"{gains[name]:.2f}" if name in OURS else f"{result.contenders[name]} {gains[name]:.2f}"
            axes.annotate(
                words,
                (gains[name], line),
                ({"left": 2, "center": 0, "right": -2}[side], 6 if name in OURS else -12),
                textcoords="offset points",
                fontsize=7,
                ha=side,
                color=text_color(name),
                fontweight="bold" if name in OURS else "normal",
            )
    axes.axvline(1, color="black", lw=1)
    labels = [f"{result.described[s].load or s}\n({result.headline(s).unit})" for s in scenarios]
    axes.set_yticks(range(len(scenarios)), labels, fontsize=8)
    axes.set_ylim(len(scenarios) - 0.4, -0.7)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _named(gains: dict[str, float]) -> dict[str, str]:
    """Contenders whose dots have a figure, with its alignment: this server, the best other one, and the worst if it is
    below DRUM."""
    others = sorted((gain, name) for name, gain in gains.items() if name not in THIS_SERVER)
    named = {name: "center" for name in OURS[:1] if name in gains}
    if others:
        named[others[-1][1]] = "left"
        if len(others) > 1 and others[0][0] < 1:
            named[others[0][1]] = "right"
    return named


def latency(result: Result) -> Figure | None:
    """p50 to p99 of each contender, a panel for each rate."""
    import matplotlib.pyplot as plt

    scenarios = [name for name in result.scenarios() if result.described[name].kind == "open"]
    if not scenarios:
        return None
    names = [n for n in result.contenders if any(result.middle(s, n, "p50") for s in scenarios)]
    size = (4.2 * len(scenarios) + 1, 1.3 + 0.3 * len(names))
    figure, grid = plt.subplots(1, len(scenarios), figsize=size, layout="constrained", squeeze=False, sharey=True)
    for axes, scenario in zip(grid[0], scenarios, strict=True):
        for line, name in enumerate(names):
            low, high = result.middle(scenario, name, "p50"), result.middle(scenario, name, "p99")
            if not low or not high:
                axes.text(0.5, line, "no answer", transform=axes.get_yaxis_transform(), fontsize=7, va="center")
                continue
            axes.plot([low, high], [line, line], color=color(name), lw=3, solid_capstyle="butt")
            axes.plot(low, line, "o", color=color(name), ms=6)
            errors = result.middle(scenario, name, "errors") or 0
            words = f" {number(high)}" + (f", {errors:.0f} errors" if errors else "")
            axes.annotate(words, (high, line), fontsize=7, va="center", color=text_color(name))
            axes.annotate(
                f"{number(low)} ", (low, line), (-4, 0), textcoords="offset points", fontsize=7, va="center", ha="right"
            )
        asked = result.values(scenario, names[0], "asked")
        axes.set_title(f"{scenario}\n({number(asked[0])} requests/s)" if asked else scenario, fontsize=9)
        _log_scale(axes, "", 2.5, 3)
        axes.set_xlabel("ms from the moment a request was due (log scale)", fontsize=8)
        axes.set_yticks(range(len(names)), [result.contenders[name] for name in names], fontsize=8)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0][0].invert_yaxis()
    return figure


def _panel(result: Result, scenario: str, figure: str, title: str, *, more: bool) -> Panel:
    found = []
    for name, words in result.contenders.items():
        values = result.values(scenario, name, figure)
        if values:
            share = result.ratio(scenario, name, figure)
            note = f" ({ratio(share)}x)" if share is not None and name != BASE else ""
            errors = result.middle(scenario, name, "errors") or 0
            note += f", {errors:.0f} errors" if errors else ""
            note = NO_ANSWER if figure == "rate" and not max(values) else note
            found.append(Bar(name, words, values, note))
    found_limits = [result.limit(scenario, public=public) for public in (False, True)] if figure == "rate" else []
    limits = [limit for limit in found_limits if limit is not None]
    return Panel(title, f"{'more' if more else 'less'} is better", found, limits)


def _throughput(result: Result) -> list[list[Panel]]:
    return [
        [_panel(result, name, "rate", name, more=True) for name in names if result.described[name].kind == "closed"]
        for names in result.by_data().values()
    ]


def _special(result: Result) -> list[Panel]:
    wanted = {
        "chat": (("tokens", "tokens/s", True), ("p50", "first token, p50 ms", False)),
        "probes": (("p50", "p50 ms", False), ("p99", "p99 ms", False)),
        "upload": (("p50", "ms until answered", False), ("growth_http", "growth of the receiving process, MiB", False)),
        "storm": (("goodput", "good answers/s", True), ("p99", "p99 of the good answers, ms", False)),
    }
    return [
        _panel(result, name, figure, f"{name}: {words}", more=more)
        for name in result.scenarios()
        for figure, words, more in wanted.get(result.described[name].kind, ())
    ]


def _life(result: Result) -> list[Panel]:
    return [
        _panel(result, name, result.headline(name).figure, f"{name}: {result.headline(name).unit}", more=False)
        for name in result.scenarios()
        if result.described[name].kind in LIFE
    ]


def _resources(result: Result) -> list[Panel]:
    starts = {name: result.starts_of(name) for name in result.contenders}
    known = {name: found for name, found in starts.items() if found}
    if not known:
        return []
    titles = result.contenders
    cold = [Bar(n, titles[n], [s.seconds for s in found], "") for n, found in known.items()]
    memory = [Bar(n, titles[n], [sum(s.pss) for s in found], "") for n, found in known.items()]
    panels = [Panel("first prediction after, s", "less is better", cold)]
    panels.append(Panel("memory (PSS) of all processes, MiB", "less is better", memory))
    measured = [name for name in result.scenarios() if result.described[name].kind == "closed"]
    for scenario in ["ridge, 1 row, c=16"] if "ridge, 1 row, c=16" in measured else measured[:1]:
        panels += [_panel(result, scenario, "cpu", f"CPU seconds for 1,000 requests ({scenario})", more=False)]
    return panels
