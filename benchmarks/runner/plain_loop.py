"""Calls/s of the native predictor in a plain loop without a server: the limit of one worker.

``python -m benchmarks.runner.plain_loop FOLDER SCENARIO WAY ROUNDS SECONDS`` prints a figure for each round. ``WAY``:
``public``, through pandas' and the framework's public interfaces only (``DRUM_SHORTCUTS=false``), or ``short``, with
the shortcuts, as the server comes. Each runs in a process of its own, because hooks and models change the state of
theirs.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.servers.environments import ROOT
from benchmarks.servers.server_process import COMMON
from benchmarks.workload.models import MODELS
from benchmarks.workload.scenarios import BY_NAME, Scenario

if TYPE_CHECKING:
    from drum_litestar.predictors.spec import PredictorSpec

WAYS = ("public", "short")


def has_limit(scenario: Scenario) -> bool:
    """Whether a plain loop is a limit of the scenario: calls of hooks that are ``async def`` overlap."""
    return scenario.kind == "closed" and not MODELS[scenario.model].sync


def plain_loop(
    folder: Path, scenario: Scenario, way: str, rounds: int, seconds: float, prefix: list[str]
) -> list[float]:
    """Calls/s of the scenario's model on its bodies in turn, in each round of ``seconds``. ``prefix``: words before the
    command."""
    command = [*prefix, sys.executable, "-m", "benchmarks.runner.plain_loop", str(folder), scenario.name, way]
    command += [str(rounds), str(seconds)]
    done = subprocess.run(command, env={**os.environ, **COMMON}, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return [float(word) for word in done.stdout.split()[-rounds:]]


def predictor_spec(folder: str, scenario: Scenario, way: str) -> PredictorSpec:
    """The predictor as ``way`` says."""
    from drum_litestar.predictors.protocol import TargetType
    from drum_litestar.predictors.spec import PredictorSpec

    model = MODELS[scenario.model]
    positive, negative = model.labels or (None, None)
    return PredictorSpec(
        code_dir=folder,
        target_type=TargetType(model.target_type),
        positive_class_label=positive,
        negative_class_label=negative,
        shortcuts={"public": False, "short": True}[way],
    )


def _loop(folder: str, scenario: Scenario, way: str, rounds: int, seconds: float) -> list[float]:
    from drum_litestar.predictors.build import build_predictor
    from drum_litestar.predictors.protocol import CallKind, ModelCall, Payload

    predictor = build_predictor(predictor_spec(folder, scenario, way))
    predictor.load()
    kind: CallKind = "unstructured" if MODELS[scenario.model].target_type == "unstructured" else "predict"
    bodies = scenario.bodies()
    payloads = [Payload(data=body, size=len(body), mimetype=scenario.content_type) for body in bodies]
    calls = [ModelCall(kind=kind, x=payload, body=payload) for payload in payloads]
    for call in calls:  # as the servers are warm
        predictor.handle(call)
    turns = itertools.cycle(calls)
    rates = []
    for _ in range(rounds):
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            predictor.handle(next(turns))
            count += 1
        rates.append(count / (time.perf_counter() - began))
    return rates


if __name__ == "__main__":
    place, name, chosen, repeats, length = sys.argv[1:]
    print(*_loop(place, BY_NAME[name], chosen, int(repeats), float(length)))
