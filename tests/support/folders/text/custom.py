"""A text target: answers one JSON text for each row, or what column ``do`` says; lists its models."""

import json

import pandas as pd


def load_model(code_dir):
    return "the model"


def plain(value):
    if isinstance(value, float) and value != value:
        return None
    return value.item() if hasattr(value, "item") else value


def seen(data):
    """What the hook received, row by row, with the types of its columns."""
    types = [str(kind) for kind in data.dtypes]
    names = [str(name) for name in data.columns]
    return [
        json.dumps(
            {"index": plain(index), "names": names, "types": types, "row": [plain(v) for v in row]}, default=repr
        )
        for index, row in zip(data.index, data.itertuples(index=False))  # noqa: B905 - Python 3.8 has no strict=
    ]


def score(data, model, **kwargs):
    if "do" in data.columns:
        return eval(data["do"].iloc[0], {"pd": pd, "data": data, "kwargs": kwargs})
    return pd.DataFrame({"completion": seen(data)})
