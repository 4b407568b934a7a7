"""Model folders made on the fly, loaded in this process and forgotten again."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.predictors.native import startup
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvParser, csv_parser
from drum_litestar.predictors.native.startup import load_model_folder
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

MakeFolder = Callable[..., Path]
LoadFolder = Callable[..., LoadedModel]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """``make_folder({"custom.py": "...", "model.pkl": object})``: text and bytes as they are, others pickled."""

    def make(files: dict[str, Any]) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                file.write_text(content, encoding="utf-8")
            else:
                file.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content))
        return folder

    return make


@pytest.fixture(scope="session")
def checked_parser() -> CsvParser | None:
    return csv_parser()


@pytest.fixture
def one_check_of_pandas(monkeypatch: pytest.MonkeyPatch, checked_parser: CsvParser | None) -> None:
    """A worker checks pandas' parser once, at its start; here it would be once a test, and longer than most tests."""
    monkeypatch.setattr(startup, "csv_parser", lambda: checked_parser)


@pytest.fixture
def load_folder(make_folder: MakeFolder, one_check_of_pandas: None) -> Iterator[LoadFolder]:
    """``load_folder(files, target, **spec_fields)``: the loaded model, closed after the test."""
    loaded: list[LoadedModel] = []

    def load(files: dict[str, Any], target: TargetType | None = TargetType.REGRESSION, **fields: Any) -> LoadedModel:
        spec = PredictorSpec(code_dir=str(make_folder(files)), target_type=target, **fields)
        loaded.append(load_model_folder(spec))
        return loaded[-1]

    yield load
    for model in loaded:
        model.hooks.close()


ServeFolder = Callable[..., NativePredictor]


@pytest.fixture
def serve_folder(make_folder: MakeFolder, one_check_of_pandas: None) -> Iterator[ServeFolder]:
    """``serve_folder(files, target, **spec_fields)``: a loaded predictor, closed after the test."""
    predictors: list[NativePredictor] = []

    def serve(
        files: dict[str, Any], target: TargetType | None = TargetType.REGRESSION, **fields: Any
    ) -> NativePredictor:
        predictor = NativePredictor(PredictorSpec(code_dir=str(make_folder(files)), target_type=target, **fields))
        predictors.append(predictor)
        predictor.load()
        return predictor

    yield serve
    for predictor in predictors:
        predictor.close()
