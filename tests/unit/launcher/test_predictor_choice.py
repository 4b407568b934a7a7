from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.launcher.predictor_choice import Choice, choose_predictor
from drum_litestar.launcher.worker_interpreter import WorkerPython
from drum_litestar.predictors.native.datarobot.lazy_loading import LAZY_LOADING_DATA
from drum_litestar.predictors.spec import PredictorSpec


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAZY_LOADING_DATA, raising=False)


def choose(spec: PredictorSpec, requested: Literal["auto", "native", "drum"] = "auto", *installed: str) -> Choice:
    """The choice for an interpreter with the distributions and modules ``installed``."""
    return choose_predictor(
        spec, requested, WorkerPython("/opt/python", (3, 8, 0), dict.fromkeys(installed, "1.0"), installed)
    )


def spec(folder: Path, *files: str, **fields: Any) -> PredictorSpec:
    for name in files or ("custom.py",):
        (folder / name).write_text("")
    return PredictorSpec(code_dir=str(folder), **fields)


def test_python_models_are_native(tmp_path: Path) -> None:
    choice = choose(spec(tmp_path), "auto", "datarobot-drum")
    assert choice == ("native", "Python model")
    assert str(choice) == "native (Python model)"


def test_what_was_asked_for(tmp_path: Path) -> None:
    assert choose(spec(tmp_path, monitor=True), "native").kind == "native"
    with pytest.raises(ModelLoadError) as caught:
        choose(spec(tmp_path), "drum")
    assert str(caught.value).startswith("--predictor drum (DRUM_PREDICTOR): this needs DRUM's predictors, ")
    assert "/opt/python -m pip install datarobot-drum" in str(caught.value)
    assert choose(spec(tmp_path), "drum", "datarobot-drum") == ("drum", "asked for")


@pytest.mark.parametrize(
    ("file", "fields", "text"),
    [
        ("model.rds", {}, r"r model: .*'datarobot-drum\[R\]' \(rpy2"),
        ("model.jar", {}, r"java model: .*pip install datarobot-drum \(and a Java runtime"),
        ("custom.py", {"gpu_predictor": "nim"}, "nim GPU predictor: .*pip install datarobot-drum"),
    ],
)
def test_other_models_need_drum(tmp_path: Path, file: str, fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelLoadError, match=text) as caught:
        choose(spec(tmp_path, file, **fields))
    assert caught.value.exit_code == 1
    with pytest.raises(ModelLoadError, match="serves Python models only"):
        choose(spec(tmp_path, file, **fields), "native")
    assert choose(spec(tmp_path, file, **fields), "auto", "datarobot-drum").kind == "drum"


NEEDS = [
    ({"monitor": True}, "--monitor", "datarobot-mlops"),
    ({"monitor_embedded": True}, "--monitor-embedded", "datarobot-mlops"),
    ({"allow_dr_api_access": True}, "--allow-dr-api-access", "datarobot"),
    ({"lazy_loading_file": "x"}, "lazy loading", "boto3"),
]


@pytest.mark.parametrize(("fields", "name", "package"), NEEDS)
def test_needs(tmp_path: Path, fields: dict[str, Any], name: str, package: str) -> None:
    described = spec(tmp_path, **fields)
    with pytest.raises(ModelLoadError) as caught:
        choose(described)
    assert name in str(caught.value)
    assert f"pip install {package} (or" in str(caught.value)
    assert choose(described, "auto", "datarobot-drum").kind == "drum"
    choice = choose(described, "auto", "datarobot-drum", package)
    assert choice.kind == "native"
    assert name in choice.reason


def test_lazy_loading_by_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAZY_LOADING_DATA, "{}")
    with pytest.raises(ModelLoadError, match="pip install boto3"):
        choose(spec(tmp_path))


def test_moderations_are_left_to_the_native_predictor(tmp_path: Path) -> None:
    assert choose(spec(tmp_path, "custom.py", "moderation_config.yaml")).kind == "native"
    assert "moderations" in choose(spec(tmp_path), "auto", "datarobot_dome").reason


def test_unknown_language_is_left_to_the_predictor(tmp_path: Path) -> None:
    assert choose_predictor(spec(tmp_path, "readme.txt")).kind == "native"


def test_nothing_is_imported(tmp_path: Path) -> None:
    before = set(sys.modules)
    choose_predictor(spec(tmp_path))
    assert not {"pandas", "datarobot_drum", "boto3"} & (set(sys.modules) - before)
