"""BentoML: a service with a typed method, adaptive batching off and on."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, app_timeout, rows_request
from benchmarks.contenders.litserve import only_rows
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import Scenario

_PATHS = {"mixed": "/predict_mixed", "await": "/predict_async"}


def _request(scenario: Scenario) -> PredictionRequest:
    return rows_request(scenario, _PATHS.get(scenario.model, "/predict"))


def _contender(name: str, title: str, batch: bool) -> Contender:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        env = {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS), "BENTOML_DO_NOT_TRACK": "True"}
        env |= {"BENCH_WORKERS": str(scenario.workers), "BENCH_BATCH": "1" if batch else "", **app_timeout(scenario)}
        command = [str(bin_dir / "bentoml"), "serve", "bentoml_app:Rows", "--host", "127.0.0.1", "--port", str(port)]
        return Launch(command, env, str(APPS))

    return Contender(
        name,
        title,
        launch,
        requirements=(("bentoml", "pandas", "scikit-learn"),),
        packages=("bentoml", "scikit-learn", "pandas"),
        environment="bentoml",
        absent=only_rows,
        request=_request,
        probe_path="/livez",
        async_hooks=True,
        ready_path="/readyz",
    )


CONTENDERS = (_contender("bentoml", "BentoML", False), _contender("bentoml-batched", "BentoML, batching", True))
