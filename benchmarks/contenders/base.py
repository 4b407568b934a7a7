"""What a contender must say of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.question import Question
from benchmarks.scenarios import Scenario

APPS = Path(__file__).with_name("apps")


@dataclass(frozen=True)
class Launch:
    """How a server is started."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None


def plain_question(scenario: Scenario) -> Question:
    """The request as DRUM takes it."""
    if scenario.kind == "chat":
        body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "Tell me."}]}
        return Question(scenario.path, json.dumps(body).encode(), "application/json")
    return Question(scenario.path, scenario.body(), scenario.content_type)


def always(_: Scenario) -> str | None:
    """Takes part in every scenario."""
    return None


@dataclass(frozen=True)
class Contender:
    """One server in one configuration."""

    name: str
    title: str
    launch: Callable[[Path, Path, Scenario, int], Launch]
    """From its environment's ``bin``, the model folder, the scenario (model, workers) and a port."""
    requirements: tuple[tuple[str, ...], ...] | None = None
    """Groups for pip; None: the environment that runs the benchmark."""
    packages: tuple[str, ...] = ()
    """Whose versions the report names."""
    environment: str = ""
    """Shared by several contenders."""
    absent: Callable[[Scenario], str | None] = always
    """Why it does not take part in a scenario."""
    question: Callable[[Scenario], Question] = plain_question
    probe_path: str = "/ping/"


def rows_as_json(scenario: Scenario) -> list[list[float]]:
    """The rows of a CSV scenario as numbers."""
    _, *lines = scenario.body().decode().splitlines()
    return [[float(value) for value in line.split(",")] for line in lines]
