"""Built-in frameworks with models trained here: contract, 4.5 and section 8, Q-1."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from skl2onnx import to_onnx
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.frameworks import base
from drum_litestar.predictors.protocol import TargetType

LoadFolder = Callable[..., LoadedModel]

FRAME = pd.DataFrame({"a": [1.0, 2, 3, 4, 5, 6], "b": [2.0, 1, 4, 3, 6, 5]})
MATRIX = FRAME.to_numpy(dtype="float32")
LABELS = np.array(["no", "no", "no", "yes", "yes", "yes"])
CODES = np.array([0, 0, 0, 1, 1, 1])
PAIR = {"positive_class_label": "yes", "negative_class_label": "no"}
BINARY = TargetType.BINARY


def predict(loaded: LoadedModel, target: TargetType, frame: pd.DataFrame = FRAME) -> tuple[np.ndarray[Any, Any], Any]:
    assert loaded.framework is not None
    values, labels = loaded.framework.predict(loaded.model, frame, target)
    return np.asarray(values), labels


def test_sklearn_classifier(load_folder: LoadFolder) -> None:
    model = LogisticRegression().fit(FRAME, LABELS)
    loaded = load_folder({"m.pkl": model}, BINARY, **PAIR)
    values, labels = predict(loaded, BINARY)
    np.testing.assert_array_equal(values, model.predict_proba(FRAME))
    assert labels == ["no", "yes"]
    assert loaded.framework is not None
    assert loaded.framework.name == "scikit-learn"
    assert loaded.warnings == []


@pytest.mark.parametrize("target", [TargetType.REGRESSION, TargetType.ANOMALY, TargetType.GEO_POINT])
def test_sklearn_numeric_targets(load_folder: LoadFolder, target: TargetType) -> None:
    model = IsolationForest(n_estimators=5, random_state=0).fit(FRAME)
    values, labels = predict(load_folder({"m.pkl": model}, target), target)
    np.testing.assert_array_equal(values, model.predict(FRAME))
    assert labels is None


def test_estimators_refuse_text_targets(load_folder: LoadFolder) -> None:
    models = {"scikit-learn": LinearRegression().fit(FRAME, CODES), "xgboost": _booster()}
    texts = {}
    for name, model in models.items():
        framework = next(item for item in _frameworks() if item.name == name)
        with pytest.raises(base.DrumCommonException) as caught:
            framework.predict(model, FRAME, TargetType.TEXT_GENERATION)
        texts[name] = repr(caught.value)
    assert texts == {
        "scikit-learn": "DrumCommonException(\"Target type 'textgeneration' is not supported by "
        "'SKLearnPredictor' predictor\")",
        "xgboost": "DrumCommonException(\"Target type 'textgeneration' is not supported by "
        "'XGBoostPredictor' predictor\")",
    }


def _frameworks() -> tuple[Any, ...]:
    from drum_litestar.predictors.native.frameworks.artifacts import FRAMEWORKS

    return FRAMEWORKS


def _booster() -> xgboost.Booster:
    parameters = {"objective": "binary:logistic", "min_child_weight": 0}
    return xgboost.train(parameters, xgboost.DMatrix(FRAME, label=CODES), num_boost_round=3)


def test_booster(load_folder: LoadFolder) -> None:
    booster = _booster()
    loaded = load_folder({"m.pkl": booster}, BINARY, **PAIR)
    values, labels = predict(loaded, BINARY)
    np.testing.assert_array_equal(values, booster.predict(xgboost.DMatrix(FRAME)))
    assert values.ndim == 1
    assert labels is None
    assert loaded.framework is not None
    assert loaded.framework.name == "xgboost"


def test_single_output_warning_names_the_switch(load_folder: LoadFolder) -> None:
    (warning,) = load_folder({"m.pkl": _booster()}, BINARY, **PAIR).warnings
    assert "probability of the negative class 'no'" in warning
    assert "set DRUM_SINGLE_OUTPUT_IS=positive" in warning


@pytest.mark.parametrize(
    ("files", "fields"),
    [({}, {"single_output_is": "positive"}), ({"custom.py": "def post_process(p, m): return p\n"}, {})],
)
def test_no_warning_where_the_output_is_positive(
    load_folder: LoadFolder, files: dict[str, str], fields: dict[str, str]
) -> None:
    assert load_folder({"m.pkl": _booster(), **files}, BINARY, **PAIR, **fields).warnings == []


@pytest.mark.parametrize(("pipeline", "name"), [(True, "xgboost"), (False, "scikit-learn")])
def test_xgboost_wrappers(load_folder: LoadFolder, pipeline: bool, name: str) -> None:
    model: Any = xgboost.XGBClassifier(n_estimators=3, min_child_weight=0)
    if pipeline:
        model = make_pipeline(StandardScaler(), model)
    model.fit(FRAME, CODES)
    loaded = load_folder({"m.pkl": model}, BINARY, **PAIR)
    values, labels = predict(loaded, BINARY)
    np.testing.assert_array_equal(values, model.predict_proba(FRAME))
    assert labels == [0, 1]
    assert loaded.framework is not None
    assert loaded.framework.name == name


def _onnx(model: Any, **options: Any) -> bytes:
    return bytes(to_onnx(model, MATRIX[:1], **options).SerializeToString())


def test_onnx_regression(load_folder: LoadFolder) -> None:
    model = LinearRegression().fit(MATRIX, CODES)
    loaded = load_folder({"m.onnx": _onnx(model)})
    values, labels = predict(loaded, TargetType.REGRESSION)
    assert values.shape == (6, 1)
    np.testing.assert_allclose(values[:, 0], model.predict(MATRIX), atol=1e-6)
    assert labels is None
    assert loaded.framework is not None
    assert loaded.framework.name == "onnx"


@pytest.mark.parametrize("zipmap", [True, False])
def test_onnx_probabilities(load_folder: LoadFolder, zipmap: bool) -> None:
    model = LogisticRegression().fit(MATRIX, LABELS)
    content = _onnx(model, options={id(model): {"zipmap": zipmap}})
    loaded = load_folder({"m.onnx": content}, BINARY, **PAIR)
    values, labels = predict(loaded, BINARY)
    np.testing.assert_allclose(values, model.predict_proba(MATRIX), atol=1e-6)
    assert labels is None
    assert predict(loaded, TargetType.MULTILABEL)[0].tolist() == model.predict(MATRIX).tolist()


def test_onnx_reads_sparse_and_integer_frames(load_folder: LoadFolder) -> None:
    loaded = load_folder({"m.onnx": _onnx(LinearRegression().fit(MATRIX, CODES))})
    sparse = FRAME.astype("int64").astype(pd.SparseDtype("int64", 0))
    dense, _ = predict(loaded, TargetType.REGRESSION)
    np.testing.assert_array_equal(predict(loaded, TargetType.REGRESSION, sparse)[0], dense)


def test_torch(load_folder: LoadFolder, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Dropout(0.5))
    torch.save(module, tmp_path / "saved")
    loaded = load_folder({"m.PTH": (tmp_path / "saved").read_bytes()})
    assert not loaded.model.training
    values, labels = predict(loaded, TargetType.REGRESSION, FRAME.astype("int64"))
    with torch.no_grad():
        np.testing.assert_allclose(values, module.eval()(torch.from_numpy(MATRIX.copy())).numpy(), rtol=1e-6)
    assert labels is None
    assert loaded.framework is not None
    assert loaded.framework.name == "torch"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras on the Torch backend
def test_keras(load_folder: LoadFolder, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.save(tmp_path / "m.h5")
    loaded = load_folder({"m.h5": (tmp_path / "m.h5").read_bytes()})
    values, labels = predict(loaded, TargetType.REGRESSION)
    np.testing.assert_allclose(values, network.predict(MATRIX, verbose=0), rtol=1e-6)
    assert labels is None
    assert loaded.framework is not None
    assert loaded.framework.name == "keras"


@pytest.mark.parametrize(
    ("package", "suffix"), [("keras", ".h5"), ("h5py", ".h5"), ("onnxruntime", ".onnx"), ("torch", ".pth")]
)
def test_missing_framework_names_the_pip_command(
    load_folder: LoadFolder, monkeypatch: pytest.MonkeyPatch, package: str, suffix: str
) -> None:
    """Only what is missing is named, and DRUM's text has the requirements of all frameworks for the suffix."""
    framework = next(item for item in _frameworks() if suffix in item.suffixes)
    monkeypatch.setattr(importlib.util, "find_spec", without(package))
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(ModelLoadError) as caught:
        load_folder({f"m{suffix}": b""})
    assert f"Framework: {framework.name}, requirements: {list(framework.requirements)}" in caught.value.reason
    assert caught.value.remedy.endswith(f"pip install {package}")


def without(package: str) -> Callable[[str], Any]:
    """``find_spec`` of an environment that does not have ``package``."""
    find_spec = importlib.util.find_spec
    return lambda name: None if name == package else find_spec(name)


def test_recognising_imports_only_what_the_model_needs(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(LinearRegression().fit(MATRIX, CODES)))
    code = (
        "import sys\n"
        "from drum_litestar.predictors.native.startup import load_model_folder\n"
        "from drum_litestar.predictors.protocol import TargetType\n"
        "from drum_litestar.predictors.spec import PredictorSpec\n"
        f"spec = PredictorSpec(code_dir={str(tmp_path)!r}, target_type=TargetType.REGRESSION)\n"
        "assert load_model_folder(spec).framework.name == 'scikit-learn'\n"
        "heavy = {'keras', 'torch', 'onnxruntime', 'xgboost', 'strictyaml', 'pydantic', 'flask', 'litestar'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == ""
