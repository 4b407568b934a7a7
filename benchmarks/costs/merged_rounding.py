"""How many answers would change if the rows of merged calls were predicted in one product of matrices.

``python benchmarks/costs/merged_rounding.py [--rows 4096] [--features 3 10 30 100 300] [--together 2 16 64]`` predicts
rows alone and so many together, and counts the rows with another value: as pandas prints it (ten decimals), and in any
bit. BLAS chooses its kernel, and the order of its sums, by the shapes of the matrices. It prints a Markdown table.
"""

from __future__ import annotations

import argparse
import platform
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import threadpoolctl
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FITTED_ON = 400
PRICE = 1e6
"""Magnitude of the targets that are not about 1."""
Values = NDArray[np.float64]

MODELS: dict[str, tuple[Callable[[], Any], float]] = {
    "ridge": (lambda: make_pipeline(StandardScaler(), Ridge()), 1.0),
    "ridge, targets of about 1e6": (lambda: make_pipeline(StandardScaler(), Ridge()), PRICE),
    "logistic regression, 3 classes": (lambda: make_pipeline(StandardScaler(), LogisticRegression()), 0.0),
    "PCA + ridge, targets of about 1e6": (lambda: make_pipeline(StandardScaler(), PCA(0.9), Ridge()), PRICE),
    "nearest neighbors, by distance, 1e6": (
        lambda: make_pipeline(StandardScaler(), KNeighborsRegressor(weights="distance")),
        PRICE,
    ),
    "neural network": (
        lambda: make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(32, 16), max_iter=30, random_state=1)),
        1.0,
    ),
}
"""Each with the magnitude of its targets; 0 for classes."""


def fitted(make: Callable[[], Any], magnitude: float, features: int, rng: np.random.Generator) -> Callable[[Any], Any]:
    """The method that predicts."""
    rows = rng.normal(size=(FITTED_ON, features))
    target = rows @ rng.normal(size=features) / np.sqrt(features) + rng.normal(size=FITTED_ON) / 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few iterations
        if magnitude:
            predict: Callable[[Any], Any] = make().fit(rows, target * magnitude).predict
        else:
            predict = make().fit(rows, np.digitize(target, (-0.5, 0.5))).predict_proba
    return predict


def by_row(parts: list[Any]) -> Values:
    """Rows by values."""
    joined: Values = np.concatenate(parts)
    return joined.reshape(len(joined), -1)


def printed(values: Values) -> Any:
    """The texts of an answer's numbers, rows by values."""
    text: str = pd.DataFrame({"value": values.ravel()})["value"].to_json(orient="values", double_precision=10)
    return np.array(text.strip("[]").split(",")).reshape(values.shape)


def changed(alone: Any, together: Any) -> int:
    """Number of rows of which some value differs."""
    return int((alone != together).any(axis=1).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096, help="rows for each line of the table (default: %(default)s)")
    parser.add_argument("--features", type=int, nargs="+", default=[3, 10, 30, 100, 300])
    parser.add_argument("--together", type=int, nargs="+", default=[2, 16, 64], help="rows of one product")
    args = parser.parse_args()
    blas = {f"{found['internal_api']} {found['version']}" for found in threadpoolctl.threadpool_info()}
    print(f"{args.rows} rows for each figure; {platform.machine()}, {', '.join(sorted(blas))}.\n")
    titles = [f"{rows} together: {what}" for rows in args.together for what in ("printed", "bits")]
    print(f"| model | features | {' | '.join(titles)} |")
    print(f"|---|---{'|---' * len(titles)}|")
    for name, (make, magnitude) in MODELS.items():
        for features in args.features:
            rng = np.random.default_rng(features)
            predict = fitted(make, magnitude, features, rng)
            rows = rng.normal(size=(args.rows, features))
            alone = by_row([predict(rows[number : number + 1]) for number in range(args.rows)])
            counts = []
            for count in args.together:
                together = by_row([predict(rows[start : start + count]) for start in range(0, args.rows, count)])
                counts += [changed(printed(alone), printed(together)), changed(alone, together)]
            cells = [f"{100 * found / args.rows:.1f} %" if found else "0" for found in counts]
            print(f"| {name} | {features} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
