"""MLServer and the V2 inference protocol, its adaptive batching off and on.

Estimators run in its scikit-learn runtime (for mixed columns with one addition), hooks in a runtime of the benchmark
(``apps/mlserver_app.py``).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, app_timeout
from benchmarks.contenders.litserve import only_rows
from benchmarks.contenders.open_inference import MODEL_NAME, v2_binary, v2_json
from benchmarks.servers.environments import cache_dir
from benchmarks.servers.server_process import free_port
from benchmarks.workload.models import MODELS
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario

SKLEARN, MIXED, HOOKS = "mlserver_sklearn.SKLearnModel", "mlserver_app.Mixed", "mlserver_app.Hooks"


def _contender(name: str, title: str, batch: int, request: Callable[..., PredictionRequest] = v2_json) -> Contender:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        home = cache_dir() / "mlserver" / name
        home.mkdir(parents=True, exist_ok=True)
        settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings |= {"parallel_workers": scenario.workers, "debug": False}
        estimators = MIXED if scenario.model == "mixed" else SKLEARN
        model = {"name": MODEL_NAME, "implementation": HOOKS if MODELS[scenario.model].custom else estimators}
        batching = {"max_batch_size": batch, "max_batch_time": 0.002} if batch else {}
        (home / "settings.json").write_text(json.dumps(settings))
        described = {**model, **batching, "parameters": {"uri": str(folder / "model.pkl")}}
        (home / "model-settings.json").write_text(json.dumps(described))
        env = {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS), **app_timeout(scenario)}
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
        request=functools.partial(request, output="predict_proba"),
        probe_path="/v2/health/live",
        async_hooks=True,
        ready_path="/v2/health/ready",
    )


CONTENDERS = (
    _contender("mlserver", "MLServer", 0),
    _contender("mlserver-batched", "MLServer, batching", 64),
    _contender("mlserver-binary", "MLServer, binary tensors", 0, v2_binary),
)
