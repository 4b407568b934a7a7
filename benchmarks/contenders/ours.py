"""``drum-litestar server`` in the environment that runs the benchmark."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.base import Contender, Launch, always
from benchmarks.contenders.drum import PREFIX, settings, words
from benchmarks.workload.scenarios import Scenario

BATCHES = {f"{PREFIX}DRUM_BATCH_MAX_ROWS": "10000"}
THREADS = {f"{PREFIX}DRUM_FASTAPI_EXECUTOR_WORKERS": "50"}


def _no_batches(scenario: Scenario) -> str | None:
    return "only structured predictions are merged" if scenario.model in ("echo", "chat") else None


def _one_process(scenario: Scenario) -> str | None:
    return "one process only" if scenario.workers > 1 else None


def _waiting_models(scenario: Scenario) -> str | None:
    return None if scenario.model in ("sleep", "chat") else "a setting for models that wait"


def _launch(options: tuple[str, ...], own: dict[str, str]) -> Callable[[Path, Path, Scenario, int], Launch]:
    def launch(_: Path, folder: Path, scenario: Scenario, port: int) -> Launch:
        command = str(Path(sysconfig.get_path("scripts")) / "drum-litestar")
        return Launch([*words(command, folder, scenario, port), *options], {**own, **settings(scenario)})

    return launch


def _contender(
    name: str,
    title: str,
    *options: str,
    own: dict[str, str] | None = None,
    absent: Callable[[Scenario], str | None] = always,
) -> Contender:
    packages = ("drum-litestar", "litestar", "uvicorn", "uvloop", "msgspec", "scikit-learn", "pandas", "numpy")
    launch = _launch(options, own or {})
    return Contender(name, title, launch, packages=packages, absent=absent, probe_path="/livez")


CONTENDERS = (
    _contender("ours", "drum-litestar"),
    _contender("batched", "drum-litestar, batching", own=BATCHES, absent=_no_batches),
    _contender("inline", "drum-litestar, inline", "--executor", "inline", absent=_one_process),
    _contender("threads", "drum-litestar, 50 threads", own=THREADS, absent=_waiting_models),
)
