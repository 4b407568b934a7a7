"""Mosec: a front in Rust before Python workers, batching off and on."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contenders.base import APPS, Contender, Launch, rows_request
from benchmarks.contenders.litserve import only_rows
from benchmarks.workload.scenarios import Scenario


def _contender(name: str, title: str, batch: int) -> Contender:
    def launch(bin_dir: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        # a prediction of a sleeping model waits behind others for longer than the default of 3 s
        timeout = f"{scenario.timeout * 1e3 or 60_000:.0f}"
        options = ["--address", "127.0.0.1", "--port", str(port), "--timeout", timeout, "--log-level", "warning"]
        env = {"MODEL_DIR": str(folder), "BENCH_WORKERS": str(scenario.workers), "BENCH_BATCH": str(batch)}
        return Launch([str(bin_dir / "python"), str(APPS / "mosec_app.py"), *options], env)

    return Contender(
        name,
        title,
        launch,
        requirements=(("mosec", "pandas", "scikit-learn"),),
        packages=("mosec", "scikit-learn", "pandas"),
        environment="mosec",
        absent=only_rows,
        request=rows_request,
        probe_path="/",
    )


CONTENDERS = (_contender("mosec", "Mosec", 1), _contender("mosec-batched", "Mosec, batching", 64))
