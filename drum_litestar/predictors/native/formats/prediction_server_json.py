"""Predictions in the row layout of DataRobot's prediction servers, for ``--deployment-config`` (contract, 3.7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Dict

from drum_litestar.drum_json import finite
from drum_litestar.predictors.protocol import TargetType

if TYPE_CHECKING:
    import pandas as pd

    from drum_litestar.predictors.folder.deployment_config import DeploymentConfig

_ANOMALY_LABEL = "Anomaly Score"

Row = Dict[str, Any]


def prediction_server_json(
    frame: pd.DataFrame, extra: pd.DataFrame | None, target_type: TargetType, config: DeploymentConfig
) -> bytes:
    """The body for ``frame``, whose columns are configured labels or the only predictions column.

    Raises KeyError for what the configuration lacks, TypeError for values that JSON does not have. NaN and
    infinities are ``null`` (contract, section 8, Q-10).
    """
    class_names: Any = config.class_names  # None for a null mapping: raises where DRUM does
    if target_type is TargetType.BINARY:
        rows = _binary(frame, class_names, config.prediction_threshold)
    elif target_type is TargetType.MULTICLASS:
        rows = _by_class(frame, class_names, lambda row: _best_class(row, class_names), {})
    elif target_type is TargetType.MULTILABEL:
        threshold = config.prediction_threshold
        rows = _by_class(
            frame,
            class_names,
            lambda row: [name for name in class_names if row[name] > threshold],
            {"predictionThreshold": threshold},
        )
    else:
        label = _ANOMALY_LABEL if target_type is TargetType.ANOMALY else config.name
        rows = _single(frame, label)
    for number, row in enumerate(rows):
        row["rowId"] = number
    if extra is not None:
        for row, record in zip(rows, extra.to_dict(orient="records")):
            row["extraModelOutput"] = record
    return _dump({"data": rows})


def _single(frame: pd.DataFrame, label: str) -> list[Row]:
    return [
        {"prediction": value, "predictionValues": [{"label": label, "value": value}]}
        for value in _scalars(frame.iloc[:, 0])
    ]


def _scalars(column: pd.Series[Any]) -> Iterable[Any]:
    """The values with DRUM's types: numpy integers and booleans, which ``json`` rejects, are not converted."""
    if column.dtype == "float64":
        return column.tolist()
    return column if column.dtype.kind in "mM" else column.to_numpy()


def _binary(frame: pd.DataFrame, class_names: Any, threshold: Any) -> list[Row]:
    positive, negative = class_names[1], class_names[0]
    rows = []
    for row in _records(frame):
        probability = row[positive]
        values = [{"label": positive, "value": probability}, {"label": negative, "value": 1 - probability}]
        decision = positive if probability > threshold else negative
        rows.append({"prediction": decision, "predictionValues": values, "predictionThreshold": threshold})
    return rows


def _by_class(
    frame: pd.DataFrame, class_names: Any, decide: Callable[[dict[str, float]], Any], threshold: Row
) -> list[Row]:
    return [
        {
            "prediction": decide(row),
            "predictionValues": [{"label": name, "value": row[name]} for name in class_names],
            **threshold,
        }
        for row in _records(frame)
    ]


def _best_class(row: dict[str, float], class_names: Any) -> Any:
    """The first class with the highest value. Raises ValueError when only a class outside the mapping has it."""
    best = max(row.values())
    for name in class_names:
        if row[name] >= best:
            return name
    raise ValueError  # DRUM's message here is empty


def _records(frame: pd.DataFrame) -> list[dict[str, float]]:
    columns = list(frame.columns)
    return [dict(zip(columns, values)) for values in frame.to_numpy().tolist()]


def _dump(answer: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(answer, allow_nan=False)
    except ValueError:
        text = json.dumps(finite(answer))
    return text.encode("ascii")
