from __future__ import annotations

from pathlib import Path

import pytest

from drum_litestar.predictors.drum import backend as backends
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec


@pytest.mark.parametrize(
    ("language", "gpu_predictor", "files", "text", "may_wait"),
    [
        ("python", None, ("custom.py",), 8, True),
        ("python", None, ("model.pkl",), 8, False),
        ("java", None, ("model.jar",), 8, True),
        ("python", "vllm", (), 8, True),
        ("r", None, ("custom.R",), 1, False),
    ],
)
def test_calls_at_once(
    tmp_path: Path, language: str, gpu_predictor: str | None, files: tuple[str, ...], text: int, may_wait: bool
) -> None:
    """R runs in the main thread only, so that gunicorn's parameters for gevent must not move its calls to others."""
    for name in files:
        (tmp_path / name).touch()
    backend = backends.find_backend(PredictorSpec(code_dir=str(tmp_path), gpu_predictor=gpu_predictor), language)
    assert backends.concurrency(backend, TargetType.TEXT_GENERATION) == text
    assert backends.concurrency(backend, TargetType.REGRESSION) == 1
    assert backends.may_wait(backend, tmp_path) is may_wait
