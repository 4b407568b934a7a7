"""MLServer and the V2 inference protocol, its adaptive batching off and on.

Estimators run in its scikit-learn runtime (for mixed columns with one addition), hooks in a runtime of the benchmark
(``apps/mlserver_app.py``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders.base import APPS, Contender, Launch, rows_of
from benchmarks.contenders.litserve import only_rows
from benchmarks.servers.environments import cache_dir
from benchmarks.servers.server_process import free_port
from benchmarks.workload.models import MODELS
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario

if TYPE_CHECKING:
    import pandas as pd

SKLEARN, MIXED, HOOKS = "mlserver_sklearn.SKLearnModel", "mlserver_app.Mixed", "mlserver_app.Hooks"


def _request(scenario: Scenario) -> PredictionRequest:
    described = _columns if scenario.model == "mixed" else _tensor
    bodies = [json.dumps(described(frame)).encode() for frame in scenario.frames()]
    return PredictionRequest("/v2/models/rows/infer", tuple(bodies), "application/json")


def _tensor(frame: pd.DataFrame) -> dict[str, object]:
    """Numbers as one tensor."""
    tensor = {"name": "predict", "shape": list(frame.shape), "datatype": "FP64"}
    return {"inputs": [{**tensor, "data": [value for row in rows_of(frame) for value in row]}]}


def _columns(frame: pd.DataFrame) -> dict[str, object]:
    """Mixed columns as its codec for frames wants them: a tensor for each, and the probabilities asked for."""
    inputs = []
    for name, values in zip(frame.columns, zip(*rows_of(frame), strict=True), strict=True):
        text = frame[name].dtype.kind not in "if"
        kind = {"datatype": "BYTES", "parameters": {"content_type": "str"}} if text else {"datatype": "FP64"}
        inputs.append({"name": name, "shape": [len(frame), 1], **kind, "data": values})
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


def _contender(name: str, title: str, batch: int) -> Contender:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        home = cache_dir() / "mlserver" / name
        home.mkdir(parents=True, exist_ok=True)
        settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings |= {"parallel_workers": scenario.workers, "debug": False}
        estimators = MIXED if scenario.model == "mixed" else SKLEARN
        model = {"name": "rows", "implementation": HOOKS if MODELS[scenario.model].custom else estimators}
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
