"""What a model's interpreter lacks, read from pickles of real models and from failing imports."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.frameworks.pickle_contents import is_joblib, needed_modules

LoadFolder = Callable[..., LoadedModel]
Absent = Callable[..., None]

FRAME = pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0)[::-1]})
TARGET = np.arange(50.0)
SCORE = "def score(data, model, **kwargs): return data\n"


def boosted() -> Any:
    return xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(FRAME, TARGET)


def linear() -> Any:
    return make_pipeline(StandardScaler(), LinearRegression()).fit(FRAME, TARGET)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Absent:
    """Make this process one of an environment without the named packages."""

    class Finder:
        names: tuple[str, ...] = ()

        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name.partition(".")[0] in self.names:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    finder = Finder()
    find_spec = importlib.util.find_spec

    def remove(*names: str) -> None:
        finder.names = names
        for name in list(sys.modules):
            if name.partition(".")[0] in names:
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else find_spec(name))

    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    return remove


def failure(load_folder: LoadFolder, files: dict[str, Any]) -> ModelLoadError:
    with pytest.raises(ModelLoadError) as caught:
        load_folder(files)
    return caught.value


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_names_its_modules(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(make_pipeline(StandardScaler(), boosted()).fit(FRAME, TARGET), protocol))
    modules = needed_modules(path)
    assert {"sklearn.pipeline", "sklearn.preprocessing._data", "xgboost.sklearn"} <= set(modules)
    assert all(
        module.partition(".")[0] in sys.modules for module in modules if module not in ("__builtin__", "copy_reg")
    )


def test_nothing_of_the_pickle_is_executed(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    (tmp_path / "m.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(proof).encode() + b"'\ntR.")
    assert needed_modules(tmp_path / "m.pkl") == ["os"]
    assert not proof.exists()


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib"])
@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_joblib(tmp_path: Path, load_folder: LoadFolder, compress: Any, name: str) -> None:
    """Named .pkl, which DRUM does not load, and .joblib, which it lists and does not load (contract, 4.3)."""
    path = tmp_path / "a.joblib"
    model = linear()
    joblib.dump(model, path, compress=compress)
    assert "sklearn.pipeline" in needed_modules(path)
    assert is_joblib(path)
    loaded = load_folder({name: path.read_bytes()})
    np.testing.assert_array_equal(loaded.model.predict(FRAME), model.predict(FRAME))


@pytest.mark.parametrize("compress", [0, 3])
def test_modules_behind_the_arrays_of_joblib(tmp_path: Path, compress: int) -> None:
    joblib.dump(make_pipeline(StandardScaler(), boosted()).fit(FRAME, TARGET), tmp_path / "m", compress=compress)
    assert "xgboost.sklearn" in needed_modules(tmp_path / "m")


def test_a_pickle_beside_a_joblib_file_is_the_artifact(tmp_path: Path, load_folder: LoadFolder) -> None:
    joblib.dump(linear(), tmp_path / "a.joblib")
    files = {"m.pkl": LinearRegression().fit(FRAME, TARGET), "a.joblib": (tmp_path / "a.joblib").read_bytes()}
    assert type(load_folder(files).model) is LinearRegression


def test_torch_archives(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 1)), tmp_path / "m.pth")
    assert "torch.nn.modules.container" in needed_modules(tmp_path / "m.pth")


def test_an_xgboost_pickle_and_nothing_installed(load_folder: LoadFolder, absent: Absent) -> None:
    content = pickle.dumps(boosted())
    absent("xgboost", "sklearn")
    error = failure(load_folder, {"m.pkl": content})
    assert error.reason.startswith(
        "An error occurred when loading your artifact: \n    The following frameworks support"
    )
    assert error.remedy.startswith("m.pkl needs the modules 'xgboost' and 'sklearn', which are not installed. ")
    assert error.remedy.endswith("pip install xgboost scikit-learn")


def test_an_xgboost_pickle_with_scikit_learn_alone(load_folder: LoadFolder, absent: Absent) -> None:
    content = pickle.dumps(boosted())
    absent("xgboost")
    error = failure(load_folder, {"m.pkl": content})
    assert "Exception: ModuleNotFoundError(\"No module named 'xgboost'\")" in error.reason
    assert error.remedy.startswith("m.pkl needs the module 'xgboost', which is not installed. ")
    assert error.remedy.endswith("pip install xgboost")


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib"])
def test_a_joblib_file_without_joblib(tmp_path: Path, load_folder: LoadFolder, absent: Absent, name: str) -> None:
    joblib.dump(np.arange(3.0), tmp_path / "a")
    absent("joblib")
    error = failure(load_folder, {name: (tmp_path / "a").read_bytes()})
    assert "needs the module 'joblib', which is not installed." in error.remedy
    assert error.remedy.endswith("pip install joblib")


def test_a_class_of_the_script_that_saved_the_model(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"m.pkl": b"c__main__\nMyModel\n)R."})
    assert "was defined in the script or notebook that saved it" in error.remedy


def test_code_of_the_users_own(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"m.pkl": b"cmy_transformers\nScaler\n)R."})
    assert "pip install my_transformers (or put my_transformers.py into the model folder" in error.remedy


def test_another_version_of_a_package(load_folder: LoadFolder) -> None:
    error = failure(load_folder, {"m.pkl": b"csklearn.no_such_part\nX\n)R."})
    assert "m.pkl needs sklearn.no_such_part" in error.remedy
    assert "another version" in error.remedy


def test_an_import_of_custom_py(load_folder: LoadFolder, absent: Absent) -> None:
    absent("cv2")
    error = failure(load_folder, {"custom.py": "import cv2\n" + SCORE})
    assert error.reason.endswith("custom.py] : No module named 'cv2'")
    assert error.remedy.startswith("custom.py needs the module 'cv2', which is not installed. ")
    assert error.remedy.endswith("pip install opencv-python-headless")


def test_an_import_that_fails_for_another_reason(load_folder: LoadFolder) -> None:
    assert failure(load_folder, {"custom.py": "from json import nope\n"}).remedy == ""
