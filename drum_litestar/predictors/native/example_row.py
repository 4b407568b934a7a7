"""One row that the model can be asked with, for the command that a started server shows to its user.

The columns come from the fitted model, or from ``typeSchema`` in ``model-metadata.yaml``; values from what the model's
transformers have learned (a category, a mean), so that the row is one that it accepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Dict, Final, List, Tuple

from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.protocol import TargetType

Row = Tuple[Tuple[str, str], ...]

MOST_COLUMNS: Final = 50
"""A row of more columns is not made: nobody would read it."""

NUMBER, TEXT, CATEGORY = "1", "some text", "a"
_VALUES: Final = {"NUM": NUMBER, "TXT": TEXT, "CAT": CATEGORY, "DATE": "2026-01-31"}
_NAMES: Final = ("feature_names_in_", "feature_names_", "feature_name_", "feature_names")
"""Where scikit-learn, CatBoost, LightGBM and XGBoost keep the columns that they were fitted with."""
_LEARNED: Final = ("statistics_", "mean_", "center_")
"""Typical values of each column, in imputers and scalers."""


def hides_columns(loaded: LoadedModel) -> bool:
    """Hooks change the data before the model gets it, so that the model's columns are not those of a request."""
    hooks = loaded.hooks
    changes = loaded.target_type is not TargetType.TRANSFORM and hooks.get("transform") is not None
    return changes or hooks.get("read_input_data") is not None


def example_row(loaded: LoadedModel) -> Row:
    """Names and values of the row; empty when nothing tells the columns, or hooks change them. Never raises."""
    if loaded.target_type is TargetType.UNSTRUCTURED:
        return ()
    if loaded.target_type.is_text:
        return ((loaded.prompt_column, "Hello"),)
    if hides_columns(loaded):
        return ()
    try:
        row = row_of_model(loaded.model) or row_of_schema(loaded.metadata)
    except Exception:  # any object may be a model, and have attributes of these names
        return ()
    return row if len(row) <= MOST_COLUMNS else ()


def row_of_model(model: Any) -> Row:
    """The row; empty for a model that does not tell its columns. Raises what an object with attributes of these names
    raises."""
    names = fitted_names(model)
    if not names:
        names = [f"x{number}" for number in range(1, int(getattr(model, "n_features_in_", 0)) + 1)]
    learned = _learned(model, names)
    return tuple((name, learned.get(name, NUMBER)) for name in names)


def fitted_names(model: Any) -> List[str]:
    """Names of the columns that the model was fitted with; empty if it does not tell. Raises as
    :func:`row_of_model`."""
    for attribute in _NAMES:
        found = getattr(model, attribute, None)
        if found is not None and not callable(found) and len(found):
            return [str(name) for name in found]
    return []


def _learned(step: Any, names: Sequence[str]) -> Dict[str, str]:
    """Values of the columns ``names`` that a fitted step knows, alone or through the steps inside it."""
    found: Dict[str, str] = {}
    if hasattr(step, "transformers_"):
        for _, inner, columns in step.transformers_:
            found.update(_learned(inner, _selected(columns, names)))
        return found
    for _, inner in getattr(step, "steps", ()):
        found = _learned(inner, names)
        if found:
            return found
    if len(names) == 1 and hasattr(step, "vocabulary_"):
        return {names[0]: TEXT}
    categories = getattr(step, "categories_", ())
    if len(categories) == len(names):
        return {name: str(next(filter(_is_value, each))) for name, each in zip(names, categories)}
    for attribute in _LEARNED:
        values = getattr(step, attribute, None)
        if values is not None and len(values) == len(names):
            return {name: _shown(value) for name, value in zip(names, values)}
    return found


def _selected(columns: Any, names: Sequence[str]) -> List[str]:
    """The columns of a transformer, which scikit-learn knows by names, positions, a slice of these, or a mask."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        return list(names[columns])
    chosen = list(columns)
    if len(chosen) == len(names) and all(str(each) in ("True", "False") for each in chosen):
        return [name for name, is_chosen in zip(names, chosen) if is_chosen]
    return [each if isinstance(each, str) else names[each] for each in chosen]


def _is_value(category: Any) -> bool:
    return category is not None and bool(category == category)  # NaN differs from itself


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{float(value):.4g}"


def row_of_schema(metadata: Mapping[str, Any] | None) -> Row:
    """The row as ``typeSchema.input_requirements`` describe it, which have no names."""
    requirements = ((metadata or {}).get("typeSchema") or {}).get("input_requirements") or ()
    exact = {each["field"]: each["value"] for each in requirements if each["condition"] in ("EQUALS", "IN")}
    types, count = exact.get("data_types"), exact.get("number_of_columns")
    known = [_VALUES[kind] for kind in (types if isinstance(types, list) else [types]) if kind in _VALUES]
    if not known or not isinstance(count, int):
        return ()
    return tuple((f"x{number + 1}", known[number % len(known)]) for number in range(count))
