"""Train the example models that need training, deterministically; files that are already there are left alone.

Each example is a folder: the model's files, ``data.csv`` (or ``data.txt``), ``serve.args`` (arguments of
``drum-litestar server``, one on a line), ``serve.env`` where it needs variables, and ``request.curl``, a command line
in which ``{address}`` and ``{folder}`` are filled in.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
COLUMNS = [f"feature_{number}" for number in range(10)]


def table(rows: int, seed: int) -> Any:
    """Ten columns of normal numbers with four decimals."""
    import numpy as np
    import pandas as pd

    return pd.DataFrame(np.random.default_rng(seed).normal(size=(rows, len(COLUMNS))).round(4), columns=COLUMNS)


def score(frame: Any) -> Any:
    import numpy as np

    return frame.to_numpy() @ np.linspace(-1.0, 1.0, len(COLUMNS)) + 3.0


def regression() -> Any:
    """Ridge regression of ten columns."""
    from sklearn.linear_model import Ridge

    frame = table(500, seed=1)
    return Ridge(alpha=1.0).fit(frame, score(frame))


def binary() -> Any:
    from sklearn.linear_model import LogisticRegression

    frame = table(500, seed=2)
    return LogisticRegression().fit(frame, ["yes" if value > 3.0 else "no" for value in score(frame)])


def multiclass() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    frame = table(500, seed=3)
    names = ["low", "middle", "high"]
    return RandomForestClassifier(n_estimators=20, max_depth=4, random_state=3).fit(
        frame, [names[min(2, max(0, int(value - 1.5) // 2 + 1))] for value in score(frame)]
    )


def transform() -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler().fit(table(500, seed=4))


TRAINED: dict[str, Callable[[], Any]] = {
    "regression": regression,
    "binary": binary,
    "multiclass": multiclass,
    "transform": transform,
}


def build(name: str, train: Callable[[], Any]) -> None:
    folder = HERE / name
    data, model = folder / "data.csv", folder / "model.pkl"
    if not data.exists():
        data.write_text(table(5, seed=99).to_csv(index=False, lineterminator="\n"))
    if not model.exists():
        partial = model.with_suffix(".partial")
        partial.write_bytes(pickle.dumps(train()))
        partial.replace(model)
        print(f"  built examples/{name}/model.pkl", flush=True)


def main() -> None:
    for name, train in TRAINED.items():
        build(name, train)


if __name__ == "__main__":
    main()
