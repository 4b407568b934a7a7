"""FastAPI and a thread pool, as a careful engineer writes it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch
from benchmarks.workload.scenarios import Scenario


def _launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
    command = [str(bin_dir / "uvicorn"), "fastapi_app:app", "--port", str(port), "--workers", str(scenario.workers)]
    command += ["--log-level", "warning", "--no-access-log"]
    return Launch(command, {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS)})


CONTENDERS = (
    Contender(
        "fastapi",
        "FastAPI + threads",
        _launch,
        requirements=(("fastapi", "uvicorn[standard]", "orjson", "openai", "pandas", "scikit-learn"),),
        packages=("fastapi", "uvicorn", "orjson", "scikit-learn", "pandas", "numpy"),
    ),
)
