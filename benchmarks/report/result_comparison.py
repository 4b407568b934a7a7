"""Changes between two results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.result import BASE, Result

FIGURES = {
    "rate": "requests/s",
    "tokens": "tokens/s",
    "goodput": "good answers/s",
    "late": "good answers/s in the last third",
    "p50": "p50",
    "p99": "p99",
    "cpu": "CPU s/1000",
    "lost": "lost requests",
    "first": "first prediction s",
    "all": "all workers s",
    "pss": "MiB",
}
MORE_IS_BETTER = ("rate", "tokens", "goodput", "late")
LEAST_NOISE = 0.05


@dataclass(frozen=True)
class Change:
    """One figure of one contender in both results: its ratio to DRUM in the same run, because two runs are never made
    on an equally fast machine; the figure itself where DRUM is missing."""

    scenario: str
    contender: str
    figure: str
    before: float
    after: float
    noise: float
    """Relative spread of the rounds."""
    to_drum: bool

    @property
    def relative(self) -> float:
        """Relative change; 0.1 is a tenth more, and infinity is something after nothing."""
        return self.after / self.before - 1 if self.before else math.inf

    @property
    def clear(self) -> bool:
        """Whether the change exceeds the noise."""
        return abs(self.relative) > self.noise

    @property
    def better(self) -> bool:
        """Whether the change is for the better: more of what :data:`MORE_IS_BETTER` names, less of any other figure."""
        return (self.relative > 0) == (self.figure in MORE_IS_BETTER)


def changes(old: Result, new: Result) -> list[Change]:
    """All figures that both have, in the order of the new one."""
    found = []
    for scenario in new.scenarios():
        for contender in new.contenders:
            for figure in FIGURES:
                key = (scenario, contender, figure)
                before, after = old.ratio(*key), new.ratio(*key)
                to_drum = before is not None and after is not None
                if not to_drum:
                    before, after = old.middle(*key), new.middle(*key)
                if before is None or after is None or not (before or after) or (to_drum and contender == BASE):
                    continue
                noise = max(noise_of(old, *key, to_drum=to_drum), noise_of(new, *key, to_drum=to_drum))
                found.append(Change(*key, before, after, noise, to_drum))
    return found


def noise_of(result: Result, scenario: str, contender: str, figure: str, *, to_drum: bool) -> float:
    """Relative spread over the rounds of the contender, and of DRUM when the ratio is to it; never below 5 %."""
    found = [LEAST_NOISE]
    for name in (contender, BASE) if to_drum else (contender,):
        values = result.values(scenario, name, figure)
        if len(values) > 1 and min(values) > 0:
            found.append(max(values) / min(values) - 1)
    return max(found)


def table(found: Sequence[Change]) -> str:
    """Markdown: clear changes first, the worst at the top; then how many were within the noise."""
    clear = sorted((change for change in found if change.clear), key=lambda c: (c.better, -abs(c.relative)))
    lines = []
    if clear:
        lines += [
            "| scenario | contender | figure | before | after | change | noise | |",
            "|---|---|---|---|---|---|---|---|",
        ]
    for change in clear:
        unit = " x DRUM" if change.to_drum else ""
        lines.append(
            f"| {change.scenario} | {change.contender} | {FIGURES[change.figure]}{unit} | {change.before:.3g} | "
            f"{change.after:.3g} | {change.relative:+.0%} | {change.noise:.0%} | "
            f"{'better' if change.better else 'worse'} |"
        )
    lines.append(f"{len(found) - len(clear)} of {len(found)} figures did not change by more than the noise.")
    return "\n".join(lines)
