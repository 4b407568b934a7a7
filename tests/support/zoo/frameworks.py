"""Artifacts of the other frameworks: XGBoost, ONNX, Torch, Keras."""

from __future__ import annotations

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from support.data import FEATURES, class_target, continuous_target, table
from support.zoo.artifacts import ROWS, YES_NO, classifier, dump, scaled
from support.zoo.registry import folder

XGBOOST = ("xgboost", "sklearn")
ONNX = ("onnxruntime", "skl2onnx", "sklearn")
TORCH = ("torch",)
KERAS = ("keras", "torch", "h5py")
ABC = ("--class-labels", "a", "b", "c")
FEW = {"n_estimators": 5, "max_depth": 2, "n_jobs": 1}


def booster(objective: str, target: Any, path: Path, **parameters: Any) -> None:
    import xgboost

    data = xgboost.DMatrix(table(ROWS), label=target)
    settings = {"objective": objective, "max_depth": 2, "nthread": 1, **parameters}
    (path / "model.pkl").write_bytes(pickle.dumps(xgboost.train(settings, data, num_boost_round=5)))


@folder("xgb_booster_regression", "regression", needs=XGBOOST)
def xgb_booster_regression(path: Path) -> None:
    booster("reg:squarederror", continuous_target(table(ROWS)), path)


@folder("xgb_booster_binary", "binary", *YES_NO, needs=XGBOOST)
def xgb_booster_binary(path: Path) -> None:
    """One output and no label names (contract, Q-1)."""
    booster("binary:logistic", class_target(table(ROWS), [0, 1]), path)


@folder("xgb_booster_multiclass", "multiclass", *ABC, needs=XGBOOST)
def xgb_booster_multiclass(path: Path) -> None:
    booster("multi:softprob", class_target(table(ROWS), [0, 1, 2]), path, num_class=3)


@folder("xgb_pipeline", "regression", needs=XGBOOST)
def xgb_pipeline(path: Path) -> None:
    from xgboost import XGBRegressor

    frame = table(ROWS)
    dump(scaled(XGBRegressor(**FEW)).fit(frame, continuous_target(frame)), path)


@folder("xgb_bare", "binary", "--positive-class-label", "1", "--negative-class-label", "0", needs=XGBOOST)
def xgb_bare(path: Path) -> None:
    from xgboost import XGBClassifier

    frame = table(ROWS)
    dump(XGBClassifier(**FEW).fit(frame, class_target(frame, [0, 1])), path)


def to_onnx(model: Any, path: Path, **options: Any) -> None:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    converted = convert_sklearn(
        model,
        initial_types=[("input", FloatTensorType([None, len(FEATURES)]))],
        options=options or None,
        target_opset=17,
    )
    (path / "model.onnx").write_bytes(converted.SerializeToString())


@folder("onnx_regression", "regression", needs=ONNX)
def onnx_regression(path: Path) -> None:
    from sklearn.linear_model import Ridge

    frame = table(ROWS)
    to_onnx(scaled(Ridge()).fit(frame.to_numpy(), continuous_target(frame)), path)


def unnamed_classifier(labels: list[Any]) -> Any:
    from sklearn.linear_model import LogisticRegression

    frame = table(ROWS)
    return LogisticRegression().fit(frame.to_numpy(), class_target(frame, labels))


@folder("onnx_zipmap", "multiclass", *ABC, needs=ONNX)
def onnx_zipmap(path: Path) -> None:
    """Two outputs; probabilities come as a list of dicts."""
    to_onnx(unnamed_classifier(["a", "b", "c"]), path)


@folder("onnx_binary", "binary", *YES_NO, needs=ONNX)
def onnx_binary(path: Path) -> None:
    """Two outputs, a plain probability matrix; columns are taken as positive, negative (contract, Q-1)."""
    to_onnx(unnamed_classifier([0, 1]), path, zipmap=False)


def sequential(*layers: Any) -> Any:
    import torch

    torch.manual_seed(3)
    return torch.nn.Sequential(*layers)


@folder("torch_regression", "regression", needs=TORCH)
def torch_regression(path: Path) -> None:
    import torch

    torch.manual_seed(3)
    torch.save(sequential(torch.nn.Linear(10, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)), path / "model.pth")


@folder("torch_binary", "binary", *YES_NO, needs=TORCH)
def torch_binary(path: Path) -> None:
    """One output (contract, Q-1)."""
    import torch

    torch.manual_seed(3)
    torch.save(sequential(torch.nn.Linear(10, 1), torch.nn.Sigmoid()), path / "model.pth")


@folder("torch_multiclass", "multiclass", *ABC, needs=TORCH)
def torch_multiclass(path: Path) -> None:
    import torch

    torch.manual_seed(3)
    torch.save(sequential(torch.nn.Linear(10, 3), torch.nn.Softmax(dim=1)), path / "model.pth")


def keras_dense(path: Path, outputs: int, activation: str | None) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Input((len(FEATURES),)), keras.layers.Dense(outputs, activation=activation)])
    model.save(path / "model.h5")


@folder("keras_regression", "regression", needs=KERAS, drum=False)
def keras_regression(path: Path) -> None:
    keras_dense(path, 1, None)


@folder("keras_multiclass", "multiclass", *ABC, needs=KERAS, drum=False)
def keras_multiclass(path: Path) -> None:
    keras_dense(path, 3, "softmax")


def torch_values(path: Path, frame: Any) -> np.ndarray:
    """What the stored module itself says of ``frame``."""
    import torch

    module = torch.load(path / "model.pth", weights_only=False).eval()
    with torch.no_grad():
        found: np.ndarray = module(torch.tensor(frame.to_numpy(), dtype=torch.float32)).numpy()
    return found


def onnx_values(path: Path, frame: Any) -> list[Any]:
    """All outputs of the stored graph."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path / "model.onnx"), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: frame.to_numpy().astype(np.float32)}))


def booster_values(path: Path, frame: Any) -> np.ndarray:
    import xgboost

    return np.asarray(pickle.loads((path / "model.pkl").read_bytes()).predict(xgboost.DMatrix(frame)))


def keras_values(path: Path, frame: Any) -> np.ndarray:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = keras.models.load_model(path / "model.h5", compile=False)
        return np.asarray(model.predict(frame.to_numpy(), verbose=0))


__all__ = ["booster_values", "classifier", "keras_values", "onnx_values", "torch_values"]
