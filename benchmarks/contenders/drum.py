"""The real ``drum server``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.contenders.base import Contender, Launch
from benchmarks.workload.models import MODELS
from benchmarks.workload.scenarios import Scenario

PREFIX = "MLOPS_RUNTIME_PARAM_"
ENVIRONMENT = "drum"
GEVENT = {"DRUM_GUNICORN_WORKER_CLASS": "gevent"}
"""Runtime parameters with which calls of one gunicorn worker overlap."""
REQUIREMENTS = (("datarobot-drum==1.18.*", "scikit-learn", "openai", "gevent"),)


def words(command: str, folder: Path, scenario: Scenario, port: int) -> list[str]:
    """The arguments that DRUM and drum-litestar share."""
    line = [command, "server", "--code-dir", str(folder), "--address", f"127.0.0.1:{port}"]
    model = MODELS[scenario.model]
    labels = []
    if model.labels is not None:
        labels = ["--positive-class-label", model.labels[0], "--negative-class-label", model.labels[1]]
    return [*line, "--target-type", model.target_type, *labels]


def runtime_parameters(values: Mapping[str, str]) -> dict[str, str]:
    """Environment variables that set runtime parameters of type string, as the platform does."""
    return {f"{PREFIX}{key}": json.dumps({"type": "string", "payload": value}) for key, value in values.items()}


def timeout(scenario: Scenario) -> dict[str, str]:
    """The environment variable that ends calls, where the scenario has a timeout."""
    return runtime_parameters({"DRUM_CLIENT_REQUEST_TIMEOUT": f"{scenario.timeout:g}"}) if scenario.timeout else {}


def settings(scenario: Scenario) -> dict[str, str]:
    """The environment variables that both share. They set the workers, because DRUM on gunicorn ignores
    ``--max-workers``."""
    env = {**dict(MODELS[scenario.model].env), **timeout(scenario)}
    return {**env, "MAX_WORKERS": str(scenario.workers)} if scenario.workers > 1 else env


def _contender(name: str, title: str, **parameters: str) -> Contender:
    env = runtime_parameters(parameters)

    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        # the hook would make `drum server` run drum-litestar
        own = {"DRUM_LITESTAR_HOOK": "0", **env, **settings(scenario)}
        return Launch(words(str(bin_dir / "drum"), folder, scenario, port), own)

    return Contender(
        name,
        title,
        launch,
        requirements=REQUIREMENTS,
        packages=("datarobot-drum", "gunicorn", "gevent", "flask", "scikit-learn", "pandas", "numpy"),
        environment=ENVIRONMENT,
        ready_path="/health/",
    )


CONTENDERS = (
    _contender("drum", "DRUM, gunicorn sync"),
    _contender("drum-gevent", "DRUM, gunicorn gevent", **GEVENT),
    _contender("drum-werkzeug", "DRUM, werkzeug", DRUM_SERVER_TYPE="werkzeug"),
)
