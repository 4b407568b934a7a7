"""Transform targets."""

from __future__ import annotations

import json
from pathlib import Path

from support.data import table
from support.zoo.artifacts import ROWS, dump
from support.zoo.registry import copy_hooks, folder


@folder("transform_sklearn", "transform", needs=("sklearn",))
def transform_sklearn(path: Path) -> None:
    from sklearn.preprocessing import StandardScaler

    dump(StandardScaler().fit(table(ROWS, ("a", "b")).to_numpy()), path)


@folder("transform_onehot", "transform", needs=("sklearn",))
def transform_onehot(path: Path) -> None:
    """Its output is a scipy sparse matrix."""
    from sklearn.preprocessing import OneHotEncoder

    dump(OneHotEncoder(handle_unknown="ignore").fit([["a"], ["b"], ["c"]]), path)


@folder("transform", "transform")
def transform(path: Path) -> None:
    copy_hooks("transform", path)


@folder("transform_y", "transform")
def transform_y(path: Path) -> None:
    copy_hooks("transform_y", path)


def metadata(path: Path, *requirements: str) -> None:
    """``requirements`` are ``field condition value`` triples of ``typeSchema.output_requirements``."""
    lines = ["name: transform", "type: training", "targetType: transform", "typeSchema:", "  output_requirements:"]
    for requirement in requirements:
        field, condition, value = requirement.split(" ", 2)
        lines += [f"    - field: {field}", f"      condition: {condition}"]
        if value.startswith("["):
            lines += ["      value:", *(f"        - {item}" for item in json.loads(value))]
        else:
            lines.append(f"      value: {value}")
    (path / "model-metadata.yaml").write_text("\n".join(lines) + "\n")


@folder("transform_schema", "transform")
def transform_schema(path: Path) -> None:
    copy_hooks("transform", path)
    metadata(
        path,
        'data_types IN ["NUM", "CAT"]',
        "number_of_columns NOT_GREATER_THAN 3",
        "sparse EQUALS NEVER",
        "contains_missing EQUALS NEVER",
    )


@folder("transform_schema_num", "transform")
def transform_schema_num(path: Path) -> None:
    copy_hooks("transform", path)
    metadata(path, "data_types EQUALS NUM", "number_of_columns EQUALS 2")
