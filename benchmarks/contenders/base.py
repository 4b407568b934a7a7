"""Description of a contender."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario

if TYPE_CHECKING:
    import pandas as pd

APPS = Path(__file__).with_name("apps")


@dataclass(frozen=True)
class Launch:
    """Command of a server's start."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    cwd: str | None = None


def drum_request(scenario: Scenario) -> PredictionRequest:
    """The requests in DRUM's format."""
    if scenario.kind == "chat":
        body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "Tell me."}]}
        return PredictionRequest(scenario.path, (json.dumps(body).encode(),), "application/json")
    return PredictionRequest(scenario.path, scenario.bodies(), scenario.content_type)


def app_timeout(scenario: Scenario) -> dict[str, str]:
    """Environment variables for those of ``apps/`` that end a call themselves."""
    return {"BENCH_TIMEOUT": f"{scenario.timeout:g}"} if scenario.timeout else {}


def always(_: Scenario) -> str | None:
    """No reason: takes part in every scenario."""
    return None


@dataclass(frozen=True)
class Contender:
    """One server in one configuration."""

    name: str
    title: str
    launch: Callable[[Path, Path, Scenario, int], Launch]
    """Makes the launch from the environment's ``bin``, the model folder, the scenario (model, workers) and a port."""
    requirements: tuple[tuple[str, ...], ...] | None = None
    """Groups of requirements for pip; None: the environment that runs the benchmark."""
    packages: tuple[str, ...] = ()
    """Distributions whose versions are in the report."""
    environment: str = ""
    """Name of the environment, which several contenders may share."""
    absent: Callable[[Scenario], str | None] = always
    """Reason why it does not take part in a scenario."""
    request: Callable[[Scenario], PredictionRequest] = drum_request
    probe_path: str = "/ping/"
    async_hooks: bool = False
    """Whether it calls ``async def`` hooks; else it gets the same model with functions."""
    ready_path: str = ""
    """Probe of readiness; empty: :attr:`probe_path`."""


def rows_request(scenario: Scenario, path: str = "/predict") -> PredictionRequest:
    """The requests for servers that accept rows as JSON: ``{"rows": [[1.5, "text", null]]}``."""
    bodies = [json.dumps({"rows": rows_of(frame)}).encode() for frame in scenario.frames()]
    return PredictionRequest(path, tuple(bodies), "application/json")


def rows_of(frame: pd.DataFrame) -> list[list[object]]:
    """The rows as lists of what JSON has; a blank is None."""
    values: list[list[object]] = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    return values
