"""Every framework and target type answers with its own model's numbers (contract, 3.6, 4.5, 4.7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from support.cases import Case, error_like, nearly_predicts, predicts
from support.data import csv_of, table
from support.wire import csv, upload
from support.zoo.artifacts import expected_values
from support.zoo.frameworks import booster_values, keras_values, onnx_values, torch_values

FRAME = table(5, seed=23)
SEND = csv(csv_of(FRAME))
ABC = ("a", "b", "c")
YES_NO = ("yes", "no")


def model(path: Path) -> Any:
    return expected_values(path, FRAME)


def torch(path: Path) -> Any:
    return torch_values(path, FRAME)


def torch_flat(path: Path) -> Any:
    return torch_values(path, FRAME).reshape(-1)


def booster(path: Path) -> Any:
    return booster_values(path, FRAME)


def keras(path: Path) -> Any:
    return keras_values(path, FRAME)


def keras_flat(path: Path) -> Any:
    return keras_values(path, FRAME).reshape(-1)


def as_negative(values: Any) -> Any:
    """One output p is reported as the probability of the negative class (contract, Q-1); columns are yes, no."""
    p = np.asarray(values, dtype="float64").reshape(-1)
    return np.column_stack([1.0 - p, p])


def booster_negative(path: Path) -> Any:
    return as_negative(booster_values(path, FRAME))


def torch_negative(path: Path) -> Any:
    return as_negative(torch_values(path, FRAME))


def booster_positive(path: Path) -> Any:
    """Through ``post_process`` the intermediate frame is negative, positive, so p goes to the positive class."""
    p = np.asarray(booster_values(path, FRAME), dtype="float64")
    return np.column_stack([1.0 - p, p])


def onnx_flat(path: Path) -> Any:
    return onnx_values(path, FRAME)[0].reshape(-1)


def onnx_zipmap(path: Path) -> Any:
    return [list(row.values()) for row in onnx_values(path, FRAME)[1]]


def onnx_probabilities(path: Path) -> Any:
    return onnx_values(path, FRAME)[1]


def named(labels: tuple[str, ...] | None, values: Callable[[Path], Any] = model) -> list[Case]:
    return [
        Case("predict", SEND, body=predicts(values, labels)),
        Case("predict, upload", upload(csv_of(FRAME)), body=predicts(values, labels)),
    ]


def near(values: Callable[[Path], Any], labels: tuple[str, ...] | None = None) -> list[Case]:
    return [Case("predict", SEND, body=nearly_predicts(values, labels))]


CASES = {
    "binary": named(("no", "yes")),
    "binary_bool": named(("no", "yes")),
    "binary_numbers": named(("0.0", "1")),
    "multiclass": named(ABC),
    "multiclass_file": named(("  cat ", "a/b", "été")),
    "multilabel": named(("0", "1", "2")),
    "anomaly": named(None),
    "geopoint": named(None),
    "xgb_booster_regression": near(booster),
    "xgb_booster_binary": near(booster_negative, YES_NO),
    "xgb_booster_multiclass": near(booster, ABC),
    "xgb_pipeline": near(model),
    "xgb_bare": near(model, ("0", "1")),
    "booster_post": near(booster_positive, ("no", "yes")),
    "onnx_regression": near(onnx_flat),
    "onnx_zipmap": near(onnx_zipmap, ABC),
    "onnx_binary": near(onnx_probabilities, YES_NO),
    "torch_regression": near(torch_flat),
    "torch_binary": near(torch_negative, YES_NO),
    "torch_multiclass": near(torch, ABC),
    "keras_regression": near(keras_flat),
    "keras_multiclass": near(keras, ABC),
    "text_artifact": [
        Case("predict", SEND, 500, error_like(
            "ERROR: Failure when making predictions. Exception: DrumCommonException\\(\"Target type "
            "'textgeneration' is not supported by 'SKLearnPredictor' predictor\"\\)"))
    ],
}  # fmt: skip
