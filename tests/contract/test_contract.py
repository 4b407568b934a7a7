"""One suite over every executor: each contract case against a real server with a real model.

The default run leaves out folders that differ from others only in what the predictors' unit tests show; ``-m slow``
has them. ``pytest tests/contract --against drum`` runs the same cases against the real DRUM, but for those that name a
deliberate difference: it proves the cases themselves.
"""

from __future__ import annotations

import pytest

from contract.cases import all_cases
from support.cases import Case
from support.servers.fleet import Fleet
from support.wire import get

EXECUTORS = ("inline", "pool")
INLINE = frozenset({"regression", "hooks_regression", "unstructured", "text", "chat_text", "transform"})
"""Folders of the default run's inline executor: one for each kind of call."""
NOT_BY_DEFAULT = frozenset(
    {
        "binary_numbers", "booster_post", "chat_agent", "geopoint", "hooks_multilabel",
        "keras_multiclass", "multiclass_file", "onnx_binary", "onnx_zipmap", "prediction_server_anomaly",
        "prediction_server_binary", "prediction_server_hooks_binary", "prediction_server_hooks_multilabel",
        "prediction_server_multiclass", "prediction_server_multilabel", "prediction_server_no_mapping",
        "prediction_server_regression", "score_without_kwargs", "task_binary", "torch_binary", "torch_multiclass",
        "transform_schema_num", "xgb_bare", "xgb_booster_binary", "xgb_booster_multiclass", "xgb_booster_regression",
    }
)  # fmt: skip
"""Folders that the default run leaves out: each has a sibling of the same framework or target type."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    against_drum = metafunc.config.getoption("--against") == "drum"
    parameters = [
        pytest.param(backend, folder, case, id=f"{backend}-{folder}-{case.name}", marks=marks(backend, folder))
        for backend in (("drum",) if against_drum else EXECUTORS)
        for folder, cases in all_cases().items()
        for case in cases
        if not (against_drum and (case.differs or case.fatal))
    ]
    metafunc.parametrize(("backend", "folder", "case"), parameters)


def marks(backend: str, folder: str) -> tuple[pytest.MarkDecorator, ...]:
    by_default = folder in INLINE if backend == "inline" else folder not in NOT_BY_DEFAULT
    return () if by_default else (pytest.mark.slow,)


def test_case(fleet: Fleet, backend: str, folder: str, case: Case) -> None:
    """The case's answer; and after an error the server still answers."""
    server, path = fleet.serving(backend, folder)
    answer = server.send(case.request)
    case.check(answer, path)
    if case.status >= 400:
        assert server.send(get("/ping/")).status == 200
