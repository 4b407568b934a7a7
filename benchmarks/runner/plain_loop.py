"""Calls/s of the native predictor in a plain loop without a server: the limit of one worker.

``python -m benchmarks.runner.plain_loop FOLDER TARGET_TYPE MIMETYPE SECONDS < BODY`` prints the figure. It runs in a
process of its own, because hooks and models change the state of theirs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.servers.environments import ROOT
from benchmarks.servers.server_process import COMMON
from benchmarks.workload.models import MODELS
from benchmarks.workload.scenarios import Scenario


def has_limit(scenario: Scenario) -> bool:
    """Whether a plain loop is a limit of the scenario."""
    return scenario.kind == "closed"


def plain_loop(folder: Path, scenario: Scenario, seconds: float, prefix: list[str]) -> float:
    """Calls/s of the scenario's model on its body. ``prefix``: words before the command."""
    command = [
        *prefix,
        sys.executable,
        "-m",
        "benchmarks.runner.plain_loop",
        str(folder),
        MODELS[scenario.model].target_type,
    ]
    command += [scenario.content_type, str(seconds)]
    done = subprocess.run(
        command, input=scenario.body(), env={**os.environ, **COMMON}, cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    return float(done.stdout.split()[-1])


def _loop(folder: str, target_type: str, mimetype: str, seconds: float, body: bytes) -> float:
    from drum_litestar.predictors.build import build_predictor
    from drum_litestar.predictors.protocol import CallKind, ModelCall, Payload, TargetType
    from drum_litestar.predictors.spec import PredictorSpec

    predictor = build_predictor(PredictorSpec(code_dir=folder, target_type=TargetType(target_type)))
    predictor.load()
    payload = Payload(data=body, size=len(body), mimetype=mimetype)
    kind: CallKind = "unstructured" if target_type == "unstructured" else "predict"
    call = ModelCall(kind=kind, x=payload, body=payload)
    predictor.handle(call)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        predictor.handle(call)
        count += 1
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    print(_loop(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.stdin.buffer.read()))
