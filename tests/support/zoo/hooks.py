"""Folders whose hooks are told by the request what to do."""

from __future__ import annotations

from pathlib import Path

from support.zoo.artifacts import PREDICTION_SERVER, YES_NO, deployment_config
from support.zoo.frameworks import XGBOOST, xgb_booster_binary
from support.zoo.registry import copy_hooks, folder

ABC = ("--class-labels", "a", "b", "c")


@folder("hooks_regression", "regression")
@folder("hooks_anomaly", "anomaly")
@folder("hooks_binary", "binary", *YES_NO)
@folder("hooks_multiclass", "multiclass", *ABC)
@folder("hooks_multilabel", "multilabel", *ABC)
def score(path: Path) -> None:
    copy_hooks("score", path)


@folder("hooks_chain", "regression")
def chain(path: Path) -> None:
    copy_hooks("chain", path)


@folder("booster_post", "binary", *YES_NO, needs=XGBOOST)
def booster_post(path: Path) -> None:
    """One output, no names, and a post_process hook that sees the intermediate frame (contract, Q-1)."""
    xgb_booster_binary(path)
    (path / "custom.py").write_text("def post_process(predictions, model):\n    return predictions\n")


@folder("prediction_server_hooks", "regression", *PREDICTION_SERVER)
def prediction_server_hooks(path: Path) -> None:
    score(path)
    deployment_config(path, name="target", class_mapping=None, prediction_threshold=None)


@folder("prediction_server_hooks_multilabel", "multilabel", *ABC, *PREDICTION_SERVER)
def prediction_server_hooks_multilabel(path: Path) -> None:
    score(path)
    deployment_config(path, name="tags", class_mapping=[["b", 0], ["c", 1], ["a", 2]], prediction_threshold=0.5)


@folder("prediction_server_hooks_binary", "binary", *YES_NO, *PREDICTION_SERVER)
def prediction_server_hooks_binary(path: Path) -> None:
    score(path)
    deployment_config(path, name="answer", class_mapping=[["no", 0], ["yes", 1]], prediction_threshold=0.25)


@folder("score_without_kwargs", "regression")
def score_without_kwargs(path: Path) -> None:
    (path / "custom.py").write_text(
        "def load_model(code_dir):\n    return 1\n\n\ndef score(data, model):\n    return data\n"
    )


@folder("unstructured", "unstructured")
def unstructured(path: Path) -> None:
    copy_hooks("unstructured", path)


@folder("async_unstructured", "unstructured", drum=False)
def async_unstructured(path: Path) -> None:
    copy_hooks("async_unstructured", path)
