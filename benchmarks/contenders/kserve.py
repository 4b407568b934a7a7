"""The server of the KServe SDK with a custom predictor, and the V2 inference protocol."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, app_timeout
from benchmarks.contenders.litserve import only_rows
from benchmarks.contenders.open_inference import MODEL_NAME, v2_json
from benchmarks.workload.scenarios import Scenario


def _launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
    command = [str(bin_dir / "python"), str(APPS / "kserve_app.py"), MODEL_NAME, str(port), str(scenario.workers)]
    return Launch(command, {"MODEL_DIR": str(folder), **app_timeout(scenario)})


CONTENDERS = (
    Contender(
        "kserve",
        "KServe SDK",
        _launch,
        requirements=(("kserve", "scikit-learn"),),
        packages=("kserve", "fastapi", "uvicorn", "scikit-learn", "pandas"),
        absent=only_rows,
        request=v2_json,
        probe_path="/v2/health/live",
        async_hooks=True,
        ready_path="/v2/health/ready",
    ),
)
