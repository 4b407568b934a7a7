"""Language detection: contract, 1.7."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.language import detect_language
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec

MakeFolder = Callable[..., Path]


def detect(folder: Path, **fields: Any) -> str:
    return detect_language(folder, PredictorSpec(code_dir=str(folder), **fields))


@pytest.mark.parametrize(
    ("files", "language"),
    [
        (["model.PKL"], "python"),
        (["deep/er/model.joblib"], "python"),
        (["custom.py"], "python"),
        (["custom.py", "a.pkl"], "python"),
        (["custom.py", "a.pkl", "b.jar"], "python"),
        (["custom.r"], "r"),
        (["model.rds"], "r"),
        (["model.zip"], "java"),
    ],
)
def test_files_are_conclusive(make_folder: MakeFolder, files: list[str], language: str) -> None:
    assert detect(make_folder(dict.fromkeys(files, ""))) == language


@pytest.mark.parametrize(
    ("files", "artifacts", "custom"),
    [
        ([], None, None),
        (["custom.PY"], None, None),
        (["sub/custom.py"], None, None),
        (["a.pkl", "b.jar"], None, None),
        (["custom.py", "custom.R"], None, None),
        (["custom.R", "a.pkl"], "python", "r"),
    ],
)
def test_files_are_not_conclusive(
    make_folder: MakeFolder, files: list[str], artifacts: str | None, custom: str | None
) -> None:
    folder = make_folder(dict.fromkeys(files, ""))
    with pytest.raises(ModelLoadError) as caught:
        detect(folder)
    text = str(caught.value)
    assert f"Detected: language by artifacts - {artifacts}; language by custom - {custom}." in text
    assert text.endswith(f"found in {folder}:\n" + "\n".join(sorted(p.name for p in folder.iterdir())) + "\n")


def test_options_take_precedence(make_folder: MakeFolder) -> None:
    folder = make_folder({"a.pkl": ""})
    assert detect(folder, language="java") == "java"
    assert detect(folder, gpu_predictor="nim") == "other"
    assert detect(folder, gpu_predictor="nim", language="python") == "python"


@pytest.mark.parametrize("language", ["r", "java", "other"])
def test_native_predictor_names_the_other_predictor(load_folder: Callable[..., Any], language: str) -> None:
    with pytest.raises(ModelLoadError, match=rf"language is {language}\. Use --predictor drum"):
        load_folder({"custom.py": ""}, TargetType.REGRESSION, language=language)


def test_detection_imports_nothing_heavy() -> None:
    code = (
        "import sys; import drum_litestar.predictors.folder.language; "
        "sys.exit(bool({'pandas', 'numpy', 'strictyaml'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
