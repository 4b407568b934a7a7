"""The row is one that the model accepts."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.example_row import MOST_COLUMNS, Row, example_row
from drum_litestar.predictors.native.hooks.custom_module import Hooks
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec


def loaded(
    model: Any, target_type: TargetType = TargetType.REGRESSION, *, metadata: Any = None, **hooks: Any
) -> LoadedModel:
    return LoadedModel(
        spec=PredictorSpec(code_dir="/"),
        code_dir=Path("/"),
        target_type=target_type,
        labels=None,
        metadata=metadata,
        language="python",
        hooks=Hooks(functions=hooks),
        model=model,
    )


def frame(row: Row) -> pd.DataFrame:
    return pd.read_csv(io.StringIO("\n".join(",".join(part) for part in zip(*row, strict=True))))


DATA = pd.DataFrame(
    {
        "age": [20.0, 40.0, None, 60.0],
        "city": ["Bern", "Rome", "Bern", None],
        "size": ["L", "S", "M", "L"],
        "note": ["two words", "and more", "and more", "two words"],
        "flag": [0, 1, 0, 1],
    }
)


def mixed() -> Any:
    pytest.importorskip("sklearn")
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    strict = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="error"))
    columns = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
            ("text", CountVectorizer(), "note"),
            ("city", strict, [1]),
            ("size", OrdinalEncoder(), [False, False, True, False, False]),
        ],
        remainder="passthrough",
    )
    return make_pipeline(columns, Ridge()).fit(DATA, [1.0, 2.0, 3.0, 4.0])


def test_values_are_what_the_transformers_have_learned() -> None:
    model = mixed()
    row = example_row(loaded(model))
    assert row == (("age", "40"), ("city", "Bern"), ("size", "L"), ("note", "some text"), ("flag", "1"))
    assert model.predict(frame(row)).shape == (1,)


def test_a_model_fitted_without_names() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.Ridge().fit(np.zeros((3, 2)), [1, 2, 3])
    assert example_row(loaded(model)) == (("x1", "1"), ("x2", "1"))


@pytest.mark.parametrize("target_type", [TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW])
def test_text_targets_get_a_prompt(target_type: TargetType) -> None:
    assert example_row(loaded(object(), target_type)) == (("promptText", "Hello"),)


def schema(*requirements: tuple[str, str, Any]) -> dict[str, Any]:
    entries = [{"field": field, "condition": condition, "value": value} for field, condition, value in requirements]
    return {"typeSchema": {"input_requirements": entries}}


@pytest.mark.parametrize(
    ("metadata", "row"),
    [
        (schema(("data_types", "EQUALS", "NUM"), ("number_of_columns", "EQUALS", 2)), (("x1", "1"), ("x2", "1"))),
        (
            schema(("data_types", "IN", ["NUM", "TXT"]), ("number_of_columns", "EQUALS", 3)),
            (("x1", "1"), ("x2", "some text"), ("x3", "1")),
        ),
        (schema(("data_types", "EQUALS", "IMG"), ("number_of_columns", "EQUALS", 2)), ()),
        (schema(("data_types", "EQUALS", "NUM"), ("number_of_columns", "NOT_LESS_THAN", 2)), ()),
        (schema(("data_types", "NOT_IN", "NUM"), ("number_of_columns", "EQUALS", 2)), ()),
        ({}, ()),
        (None, ()),
    ],
)
def test_the_schema_of_the_folder(metadata: Any, row: Row) -> None:
    assert example_row(loaded(object(), metadata=metadata)) == row


def test_a_model_whose_input_is_not_known_has_no_row() -> None:
    named = SimpleNamespace(feature_names_in_=["a"])
    assert example_row(loaded(named)) == (("a", "1"),)
    assert example_row(loaded(named, TargetType.UNSTRUCTURED)) == ()
    assert example_row(loaded(named, read_input_data=len)) == ()
    assert example_row(loaded(named, transform=len)) == ()
    assert example_row(loaded(named, TargetType.TRANSFORM, transform=len)) == (("a", "1"),)
    assert example_row(loaded(SimpleNamespace(n_features_in_=MOST_COLUMNS + 1))) == ()


class Hostile:
    """Has every attribute, of no use."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_no_model_breaks_the_start() -> None:
    for model in (Hostile(), SimpleNamespace(feature_names_in_=7), SimpleNamespace(feature_names_in_=["a"], steps=[1])):
        assert example_row(loaded(model)) == ()
