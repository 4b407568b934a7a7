"""LitServe: a ``LitAPI`` with JSON, batching off and on."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, app_timeout, rows_request
from benchmarks.workload.scenarios import Scenario

# torch comes first: its CPU build, where an index offers one, instead of gigabytes for GPUs
REQUIREMENTS = (("torch==2.13.0",), ("litserve", "pandas", "scikit-learn"))


def only_rows(scenario: Scenario) -> str | None:
    """Reason to skip scenarios that are not rows, for servers that accept rows as JSON."""
    if scenario.kind == "chat" or scenario.model == "echo":
        return "serves predictions only"
    if scenario.kind == "upload":
        return "takes JSON, no CSV upload"
    return None


def _contender(name: str, title: str, batch: int) -> Contender:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        command = [str(bin_dir / "python"), str(APPS / "litserve_app.py"), str(port), str(scenario.workers), str(batch)]
        return Launch(command, {"MODEL_DIR": str(folder), **app_timeout(scenario)})

    return Contender(
        name,
        title,
        launch,
        requirements=REQUIREMENTS,
        packages=("litserve", "scikit-learn", "pandas"),
        environment="litserve",
        absent=only_rows,
        request=rows_request,
        probe_path="/health",
        async_hooks=batch == 1,  # LitServe does not batch calls of an async predict
    )


CONTENDERS = (_contender("litserve", "LitServe", 1), _contender("litserve-batched", "LitServe, batching", 64))
