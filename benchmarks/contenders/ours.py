"""``drum-litestar server`` in the environment that runs the benchmark."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable
from pathlib import Path

from benchmarks.contenders.base import Contender, Launch, always, drum_request
from benchmarks.contenders.drum import GEVENT, PREFIX, runtime_parameters, settings, words
from benchmarks.contenders.litserve import only_rows
from benchmarks.contenders.open_inference import MODEL_NAME, v2_binary, v2_json
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import LIFE, Scenario

ARROW = "application/vnd.apache.arrow.stream"
BATCHES = {f"{PREFIX}DRUM_BATCH_MAX_ROWS": "10000"}
V2 = {"DRUM_MODEL_NAME": MODEL_NAME}
LAME_DUCK = {"DRUM_LAME_DUCK": "1.5"}
THREADS = {f"{PREFIX}DRUM_FASTAPI_EXECUTOR_WORKERS": "50"}


def _no_batches(scenario: Scenario) -> str | None:
    return "only structured predictions are merged" if scenario.kind == "chat" or scenario.model == "echo" else None


def _one_process(scenario: Scenario) -> str | None:
    return "one process only" if scenario.workers > 1 else None


def _waiting_models(scenario: Scenario) -> str | None:
    """Reason not to take part: hooks that are ``async def`` have more slots without the setting."""
    return (
        None if scenario.model in ("sleep", "chat", "hang") else "a setting for hooks that wait and are not async def"
    )


def _only_formats(scenario: Scenario) -> str | None:
    """Reason of those that differ in their requests only."""
    return "as drum-litestar" if scenario.kind in LIFE else only_rows(scenario)


def _rollouts(scenario: Scenario) -> str | None:
    return None if scenario.kind == "rollout" else "a setting for stops behind a balancer"


def _arrow(scenario: Scenario) -> PredictionRequest:
    import pyarrow as pa

    bodies = []
    for frame in scenario.frames():
        table, sink = pa.Table.from_pandas(frame, preserve_index=False), pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        bodies.append(sink.getvalue().to_pybytes())
    accept = (("Accept", ARROW),)
    return PredictionRequest(scenario.path, tuple(bodies), ARROW, accept)


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
    request: Callable[[Scenario], PredictionRequest] = drum_request,
) -> Contender:
    packages = ("drum-litestar", "litestar", "uvicorn", "uvloop", "msgspec", "scikit-learn", "pandas", "numpy")
    launch = _launch(options, own or {})
    return Contender(
        name,
        title,
        launch,
        packages=packages,
        absent=absent,
        request=request,
        probe_path="/livez",
        async_hooks=True,
        ready_path="/readyz",
    )


CONTENDERS = (
    _contender("ours", "drum-litestar"),
    _contender("batched", "drum-litestar, batching", own=BATCHES, absent=_no_batches),
    _contender("inline", "drum-litestar, inline", "--executor", "inline", absent=_one_process),
    _contender("threads", "drum-litestar, 50 threads", own=THREADS, absent=_waiting_models),
    _contender("gevent", "drum-litestar, gevent's settings", own=runtime_parameters(GEVENT), absent=_waiting_models),
    _contender("lame-duck", "drum-litestar, lame duck of 1.5 s", own=LAME_DUCK, absent=_rollouts),
    _contender("arrow", "drum-litestar, Arrow", absent=_only_formats, request=_arrow),
    _contender("v2", "drum-litestar, V2 JSON", own=V2, absent=_only_formats, request=v2_json),
    _contender("v2-binary", "drum-litestar, V2 binary", own=V2, absent=_only_formats, request=v2_binary),
)
