"""Deterministic tables: the same numbers in every run, on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

FEATURES = tuple(f"x{number}" for number in range(10))


def table(rows: int, columns: tuple[str, ...] = FEATURES, seed: int = 7) -> pd.DataFrame:
    """Normal numbers rounded to 4 decimals, so that their CSV is short and exact."""
    values = np.random.default_rng(seed).normal(size=(rows, len(columns)))
    frame: pd.DataFrame = pd.DataFrame(values.round(4), columns=list(columns))
    return frame


def csv_of(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def continuous_target(frame: pd.DataFrame) -> pd.Series:
    weights = np.linspace(-1.0, 1.0, frame.shape[1])
    return pd.Series(frame.to_numpy() @ weights + 3.0, name="target")


def class_target(frame: pd.DataFrame, labels: list[Any]) -> pd.Series:
    """Labels by equal parts of the continuous target."""
    ranks = continuous_target(frame).rank(method="first") - 1
    target: pd.Series = pd.Series([labels[int(rank * len(labels) / len(frame))] for rank in ranks], name="target")
    return target


def matrix_market(frame: pd.DataFrame) -> bytes:
    """``frame`` in Matrix Market coordinate form; zeros are left out."""
    entries = [
        f"{row + 1} {column + 1} {value!r}"
        for row, values in enumerate(frame.to_numpy().tolist())
        for column, value in enumerate(values)
        if value != 0
    ]
    head = f"%%MatrixMarket matrix coordinate real general\n{len(frame)} {frame.shape[1]} {len(entries)}\n"
    return (head + "\n".join(entries) + "\n").encode()
