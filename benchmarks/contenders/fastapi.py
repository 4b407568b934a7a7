"""FastAPI and a thread pool, as a careful engineer writes it, under uvicorn and under Granian (in Rust)."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, app_timeout
from benchmarks.workload.scenarios import Scenario


def _launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
    command = [str(bin_dir / "uvicorn"), "fastapi_app:app", "--port", str(port), "--workers", str(scenario.workers)]
    command += ["--log-level", "warning", "--no-access-log"]
    return Launch(command, {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS), **app_timeout(scenario)})


def _launch_granian(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
    command = [str(bin_dir / "granian"), "--interface", "asgi", "fastapi_app:app", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", str(scenario.workers), "--log-level", "warning"]
    return Launch(command, {"MODEL_DIR": str(folder), "PYTHONPATH": str(APPS), **app_timeout(scenario)})


CONTENDERS = (
    Contender(
        "fastapi",
        "FastAPI + threads",
        _launch,
        requirements=(("fastapi", "uvicorn[standard]", "orjson", "openai", "pandas", "scikit-learn"),),
        packages=("fastapi", "uvicorn", "orjson", "scikit-learn", "pandas", "numpy"),
        async_hooks=True,
    ),
    Contender(
        "granian",
        "FastAPI + threads, Granian",
        _launch_granian,
        requirements=(("fastapi", "granian[uvloop]", "orjson", "openai", "pandas", "scikit-learn"),),
        packages=("granian", "fastapi", "uvloop", "orjson", "scikit-learn", "pandas", "numpy"),
        async_hooks=True,
    ),
)
