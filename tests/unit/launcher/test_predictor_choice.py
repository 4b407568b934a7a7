from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.launcher import predictor_choice
from drum_litestar.launcher.predictor_choice import choose_predictor
from drum_litestar.predictors.spec import PredictorSpec


@pytest.fixture(autouse=True)
def _nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_choice, "_distribution", lambda name: False)
    monkeypatch.setattr(predictor_choice, "find_spec", lambda name: None)
    monkeypatch.delenv(predictor_choice.LAZY_LOADING, raising=False)


def install(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(predictor_choice, "_distribution", lambda name: name in names)
    monkeypatch.setattr(predictor_choice, "find_spec", lambda name: object() if name in names else None)


def spec(folder: Path, *files: str, **fields: Any) -> PredictorSpec:
    for name in files or ("custom.py",):
        (folder / name).write_text("")
    return PredictorSpec(code_dir=str(folder), **fields)


def test_python_models_are_native(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "datarobot-drum")
    choice = choose_predictor(spec(tmp_path))
    assert choice == ("native", "Python model, nothing else")
    assert str(choice) == "native (Python model, nothing else)"


def test_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_predictor(spec(tmp_path, monitor=True), "native").kind == "native"
    with pytest.raises(ModelLoadError) as caught:
        choose_predictor(spec(tmp_path), "drum")
    assert str(caught.value).startswith("--predictor drum (DRUM_PREDICTOR): this needs DRUM's predictors, ")
    assert "pip install datarobot-drum" in str(caught.value)
    install(monkeypatch, "datarobot-drum")
    assert choose_predictor(spec(tmp_path), "drum") == ("drum", "asked for")


@pytest.mark.parametrize(
    ("file", "fields", "text"),
    [
        ("model.rds", {}, r"r model: .*'datarobot-drum\[R\]' \(rpy2"),
        ("model.jar", {}, r"java model: .*pip install datarobot-drum \(and a Java runtime"),
        ("custom.py", {"gpu_predictor": "nim"}, "nim GPU predictor: .*pip install datarobot-drum"),
    ],
)
def test_other_models_need_drum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, fields: dict[str, Any], text: str
) -> None:
    with pytest.raises(ModelLoadError, match=text) as caught:
        choose_predictor(spec(tmp_path, file, **fields))
    assert caught.value.exit_code == 1
    with pytest.raises(ModelLoadError, match="serves Python models only"):
        choose_predictor(spec(tmp_path, file, **fields), "native")
    install(monkeypatch, "datarobot-drum")
    assert choose_predictor(spec(tmp_path, file, **fields)).kind == "drum"


NEEDS = [
    ({"monitor": True}, "--monitor", "datarobot-mlops"),
    ({"monitor_embedded": True}, "--monitor-embedded", "datarobot-mlops"),
    ({"allow_dr_api_access": True}, "--allow-dr-api-access", "datarobot"),
    ({"lazy_loading_file": "x"}, "lazy loading", "boto3"),
]


@pytest.mark.parametrize(("fields", "name", "package"), NEEDS)
def test_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], name: str, package: str
) -> None:
    described = spec(tmp_path, **fields)
    with pytest.raises(ModelLoadError) as caught:
        choose_predictor(described)
    assert name in str(caught.value)
    assert f"pip install {package} (or" in str(caught.value)
    install(monkeypatch, "datarobot-drum")
    assert choose_predictor(described).kind == "drum"
    install(monkeypatch, "datarobot-drum", package)
    choice = choose_predictor(described)
    assert choice.kind == "native"
    assert name in choice.reason


def test_lazy_loading_by_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(predictor_choice.LAZY_LOADING, "{}")
    with pytest.raises(ModelLoadError, match="pip install boto3"):
        choose_predictor(spec(tmp_path))


def test_moderations_are_left_to_the_native_predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_predictor(spec(tmp_path, "custom.py", "moderation_config.yaml")).kind == "native"
    install(monkeypatch, "datarobot_dome")
    assert "moderations" in choose_predictor(spec(tmp_path)).reason


def test_unknown_language_is_left_to_the_predictor(tmp_path: Path) -> None:
    assert choose_predictor(spec(tmp_path, "readme.txt")).kind == "native"


def test_nothing_is_imported(tmp_path: Path) -> None:
    before = set(sys.modules)
    choose_predictor(spec(tmp_path))
    assert not {"pandas", "datarobot_drum", "boto3"} & (set(sys.modules) - before)
