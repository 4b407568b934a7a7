"""MLflow's scoring server (FastAPI under uvicorn) with a model of its python_function flavor."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, rows_of
from benchmarks.contenders.litserve import only_rows
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario


def _launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
    command = [str(bin_dir / "python"), str(APPS / "mlflow_app.py"), str(port), str(scenario.workers)]
    env = {"MODEL_DIR": str(folder), "PATH": f"{bin_dir}:/usr/bin:/bin", "MLFLOW_DISABLE_TELEMETRY": "true"}
    if scenario.timeout:
        env["MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT"] = f"{scenario.timeout:.0f}"
    return Launch(command, env)


def _request(scenario: Scenario) -> PredictionRequest:
    frames = [{"columns": list(frame.columns), "data": rows_of(frame)} for frame in scenario.frames()]
    bodies = tuple(json.dumps({"dataframe_split": frame}).encode() for frame in frames)
    return PredictionRequest("/invocations", bodies, "application/json")


CONTENDERS = (
    Contender(
        "mlflow",
        "MLflow",
        _launch,
        requirements=(("mlflow", "scikit-learn", "pandas"),),
        packages=("mlflow", "fastapi", "uvicorn", "scikit-learn", "pandas"),
        absent=only_rows,
        request=_request,
        probe_path="/ping",
    ),
)
