"""MLServer and the V2 inference protocol, its adaptive batching off and on.

Estimators run in its scikit-learn runtime, hooks in a runtime of the benchmark (``apps/mlserver_app.py``).
"""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, rows_as_json
from benchmarks.contenders.litserve import only_rows
from benchmarks.servers.environments import cache_dir
from benchmarks.servers.server_process import free_port
from benchmarks.workload.models import COLUMNS
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario

SKLEARN, HOOKS = "mlserver_sklearn.SKLearnModel", "mlserver_app.Hooks"
ESTIMATORS = ("ridge", "forest")


def _request(scenario: Scenario) -> PredictionRequest:
    rows = rows_as_json(scenario)
    tensor = {"name": "predict", "shape": [len(rows), len(COLUMNS)], "datatype": "FP64"}
    flat = [value for row in rows for value in row]
    body = json.dumps({"inputs": [{**tensor, "data": flat}]}).encode()
    return PredictionRequest("/v2/models/rows/infer", body, "application/json")


def _contender(name: str, title: str, batch: int) -> Contender:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        home = cache_dir() / "mlserver" / name
        home.mkdir(parents=True, exist_ok=True)
        settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings |= {"parallel_workers": scenario.workers, "debug": False}
        model = {"name": "rows", "implementation": SKLEARN if scenario.model in ESTIMATORS else HOOKS}
        batching = {"max_batch_size": batch, "max_batch_time": 0.002} if batch else {}
        (home / "settings.json").write_text(json.dumps(settings))
        described = {**model, **batching, "parameters": {"uri": str(folder / "model.pkl")}}
        (home / "model-settings.json").write_text(json.dumps(described))
        env = {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS)}
        return Launch([str(bin_dir / "mlserver"), "start", str(home)], env, str(home))

    return Contender(
        name,
        title,
        launch,
        # its workers ask uvloop for a current event loop, which 0.22 no longer makes for them
        requirements=(("mlserver", "mlserver-sklearn", "uvloop<0.22", "pandas"),),
        packages=("mlserver", "mlserver-sklearn", "uvloop", "scikit-learn", "pandas"),
        environment="mlserver",
        absent=only_rows,
        request=_request,
        probe_path="/v2/health/live",
    )


CONTENDERS = (_contender("mlserver", "MLServer", 0), _contender("mlserver-batched", "MLServer, batching", 64))
