"""Order and estimated duration of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contenders.base import Contender
from benchmarks.workload.scenarios import Scenario

START_SECONDS = 5.0
"""Estimate for a server's start, warm-up and stop, until a run has measured some."""


@dataclass(frozen=True)
class Step:
    """One start of one server, and the scenarios measured on it."""

    round: int
    contender: Contender
    scenarios: tuple[Scenario, ...]

    def expected_seconds(self, seconds: float) -> float:
        """Estimated duration."""
        return START_SECONDS + sum(scenario.expected_seconds(seconds) for scenario in self.scenarios)


def steps(contenders: Sequence[Contender], scenarios: Sequence[Scenario], rounds: int) -> list[Step]:
    """Interleave the contenders (A B A B): a round measures all of them on one model before the next model, so that a
    slow minute of the machine affects all of them; each further round repeats that."""
    servers = dict.fromkeys(scenario.server for scenario in scenarios)
    plan = []
    for number in range(1, rounds + 1):
        for server in servers:
            for contender in contenders:
                own = tuple(s for s in scenarios if s.server == server and contender.absent(s) is None)
                if own:
                    plan.append(Step(number, contender, own))
    return plan


class Estimate:
    """Remaining seconds: the plan's estimate, corrected by the measured durations so far."""

    def __init__(self, plan: Sequence[Step], seconds: float, extra: float = 0.0) -> None:
        self._expected = [step.expected_seconds(seconds) for step in plan]
        self._extra = extra
        self.total = sum(self._expected) + extra
        self.done = 0.0
        self._real = 0.0

    def finished(self, number: int, took: float) -> None:
        """Step ``number`` (from 0) took ``seconds``."""
        self.done += self._expected[number]
        self._real += took

    def left(self) -> float:
        """Seconds until the end of the run."""
        pace = self._real / self.done if self.done else 1.0
        return (self.total - self._extra - self.done) * pace + self._extra
