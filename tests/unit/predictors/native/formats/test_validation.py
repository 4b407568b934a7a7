"""Label matching, shapes and probability checks (contract, 4.7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drum_litestar.predictors.native.formats.validation import PredictionError, validate_predictions
from drum_litestar.predictors.protocol import TargetType

BINARY = TargetType.BINARY
YES_NO = ("yes", "no")


def test_unnamed_columns_take_configured_labels_by_position() -> None:
    result = validate_predictions(np.array([[0.25, 0.75]]), None, BINARY, YES_NO)
    assert result.columns == YES_NO
    assert result.values.tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize(("first", "expected"), [(False, [[0.75, 0.25]]), (True, [[0.25, 0.75]])])
def test_a_single_probability(first: bool, expected: list[list[float]]) -> None:
    """Q-1: by default it belongs to the second label."""
    result = validate_predictions(np.array([0.25]), None, BINARY, YES_NO, single_output_first=first)
    assert result.columns == YES_NO
    assert result.values.tolist() == expected


@pytest.mark.parametrize("names", [["NO", "Yes"], [0, 1], [False, True], ["0.0", "1.0"], ["off", "T"]])
def test_names_match_loosely_and_keep_their_order(names: list[Any]) -> None:
    assert validate_predictions(np.array([[0.25, 0.75]]), names, BINARY, YES_NO).columns == ("no", "yes")


def test_names_that_do_not_match() -> None:
    with pytest.raises(PredictionError, match=r"^Expected predictions to have columns \['yes', 'no'\], but encou"):
        validate_predictions(np.array([[0.25, 0.75]]), ["a", "b"], BINARY, YES_NO)


@pytest.mark.parametrize(
    ("values", "labels", "message"),
    [
        ([[0.5]], ("a", "b", "c"), "Only one dimension of probability returned, but there are 3 class labels in this"),
        ([[0.5]], ("a",), "Classification problems must have more than one class label"),
        ([[0.5, 0.5]], ("a", "b", "c"), "Expected 3 columns, but received 2"),
        ([[-0.1, 1.1]], ("a", "b"), "Your prediction probabilities have negative values"),
        ([[0.0, 1.1]], ("a", "b"), "Your prediction probabilities have values greater than 1"),
        ([[0.5, 0.6]], ("a", "b"), "Your prediction probabilities do not add up to 1. \n[[0.5 0.6]]"),
        ([[np.nan, 0.6]], ("a", "b"), "Your prediction probabilities do not add up to 1. \n[[nan 0.6]]"),
        ([[[0.5, 0.5]]], ("a", "b"), "predictions must return a 2 dimensional array, but we received a 3 dimensional"),
    ],
)
def test_refused_probabilities(values: Any, labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(PredictionError) as caught:
        validate_predictions(np.array(values), None, TargetType.MULTICLASS, labels)
    assert message in str(caught.value)


@given(st.floats(0, 1), st.floats(-3e-5, 3e-5))
def test_sums_are_compared_as_by_numpy_isclose(share: float, error: float) -> None:
    values = np.array([[share, min(max(1 - share + error, 0), 1)]])
    accepted = bool(np.isclose(values.sum(axis=1), 1).all())
    try:
        validate_predictions(values, None, BINARY, YES_NO)
    except PredictionError:
        assert not accepted
    else:
        assert accepted


def test_multilabel_rows_need_not_sum_to_one_and_may_lack_values() -> None:
    assert validate_predictions(np.array([[0.9, np.nan]]), None, TargetType.MULTILABEL, ("a", "b")).columns == (
        "a",
        "b",
    )


@pytest.mark.parametrize("value", [5, "text", None])
def test_not_an_array(value: Any) -> None:
    with pytest.raises(PredictionError, match="predictions must return a np array, but received"):
        validate_predictions(value, None, TargetType.REGRESSION, None)


def test_several_columns_of_a_single_column_target() -> None:
    with pytest.raises(PredictionError, match="must contain only 1 column"):
        validate_predictions(np.zeros((3, 2)), None, TargetType.REGRESSION, None)


@pytest.mark.parametrize(
    ("values", "expected"), [([True, False], [1.0, 0.0]), (["1.5", None], [1.5, None]), ([3, 4], [3.0, 4.0])]
)
def test_values_as_floats(values: list[Any], expected: list[float | None]) -> None:
    floats = validate_predictions(np.array(values, dtype=object), None, TargetType.REGRESSION, None).floats()
    assert [None if np.isnan(value) else value for value in floats.ravel()] == expected


def test_text_is_no_float() -> None:
    with pytest.raises(ValueError, match="could not convert string to float: 'abc'"):
        validate_predictions(np.array(["abc"], dtype=object), None, TargetType.REGRESSION, None).floats()
