"""The model folder in ``MODEL_DIR``, for servers without a notion of model folders."""

import functools
import importlib.util
import inspect
import os
import pickle
from pathlib import Path

import pandas as pd

FOLDER = Path(os.environ["MODEL_DIR"])
TIMEOUT = float(os.environ.get("BENCH_TIMEOUT", 0)) or None
"""Seconds after which an app ends a call; None: it does not."""


def hooks():
    """The module ``custom.py``; None without one."""
    path = FOLDER / "custom.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("custom", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_async():
    """Whether the model's hook ``score`` is ``async def``."""
    return inspect.iscoroutinefunction(getattr(hooks(), "score", None))


def predictor():
    """A function from a frame to a list of numbers (of a classifier, the positive class's probabilities), a coroutine
    function where the hook is one; None for a model that has none."""
    return _load()[0]


def rows_predictor():
    """The same from rows: lists of numbers, text and None."""
    predict, columns = _load()

    def predict_rows(rows):
        frame = pd.DataFrame(rows, columns=columns)
        if object in list(frame.dtypes):  # scikit-learn's imputers take NaN for a blank, but no None
            frame = frame.where(frame.notna())
        return predict(frame)

    return predict_rows


@functools.cache
def _load():
    """The predictor, and the names of its columns; None where it does not mind."""
    module = hooks()
    if module is None:
        model = pickle.loads((FOLDER / "model.pkl").read_bytes())
        if hasattr(model, "predict_proba"):
            return lambda frame: model.predict_proba(frame)[:, 1].tolist(), model.feature_names_in_
        return lambda frame: model.predict(frame).tolist(), model.feature_names_in_
    if not hasattr(module, "score"):
        return None, None
    model = module.load_model(str(FOLDER))
    if inspect.iscoroutinefunction(module.score):

        async def predict(frame):
            return (await module.score(frame, model))["Predictions"].tolist()

        return predict, None
    return lambda frame: module.score(frame, model)["Predictions"].tolist(), None
