"""Validation of a transform's result against ``typeSchema.output_requirements`` (contract, 4.11).

Column types are NUM, TXT, CAT, IMG and DATE. A text column is CAT too; TXT and CAT match each other, and NUM matches
both when all numeric columns hold integers. Boolean columns are NUM; a frame without numeric columns never matches
NUM (contract, section 8, Q-18).
"""

from __future__ import annotations

import base64
import binascii
import logging
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

logger = logging.getLogger("drum.datarobot_drum.drum.typeschema_validation")
"""DRUM's logger, whose name is part of the log lines."""

NUM, TXT, CAT, IMG, DATE = "NUM", "TXT", "CAT", "IMG", "DATE"
_IGNORED_TYPES = frozenset({"DATE_DURATION", "COUNT_DICT", "GEO"})
_TEXT_SHARE, _UNIQUE_SHARE, _UNIQUE_COUNT = 0.75, 0.05, 60
_LARGEST_INTEGER = 2.0**63
_IMAGE_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
_IMAGE_HEAD = 24
"""Base64 characters that hold the longest signature."""

_BOOLEANS = (
    "Boolean values were present in the data, which are passed as numeric input in DataRobot.  You may need to convert "
    "boolean values to integers/floats for your model"
)

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "EQUALS": operator.eq,
    "NOT_EQUALS": operator.ne,
    "IN": lambda count, allowed: count in allowed,
    "NOT_IN": lambda count, refused: count not in refused,
    "GREATER_THAN": operator.gt,
    "LESS_THAN": operator.lt,
    "NOT_GREATER_THAN": operator.le,
    "NOT_LESS_THAN": operator.ge,
}


class SchemaValidationError(Exception):
    """A transform's output violates ``typeSchema.output_requirements`` (contract, 3.8).

    The violations are logged before it is raised.
    """


class Requirement(NamedTuple):
    """One entry of ``output_requirements``."""

    field: str
    condition: str
    value: Any
    """One value, or a list of them."""

    @property
    def values(self) -> list[Any]:
        return self.value if isinstance(self.value, list) else [self.value]

    @property
    def checked_types(self) -> list[str]:
        """The values of a ``data_types`` entry that are checked when serving."""
        return sorted(set(self.values) - _IGNORED_TYPES)


class OutputSchema:
    """The output requirements of one model. Without any, every result passes."""

    def __init__(self, requirements: list[Requirement]) -> None:
        self._requirements = requirements

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any] | None) -> OutputSchema:
        """From the parsed ``model-metadata.yaml``, whose ``typeSchema`` was validated when it was read."""
        section = (metadata or {}).get("typeSchema") or {}
        found = {
            kind: [Requirement(**entry) for entry in section.get(kind) or []]
            for kind in ("input_requirements", "output_requirements")
        }
        for entry in (*found["input_requirements"], *found["output_requirements"]):
            if entry.field == "data_types" and not entry.checked_types:
                logger.info("Values () specified do not have runtime validation in DRUM, only within DataRobot.")
        return cls(found["output_requirements"])

    def check(self, frame: pd.DataFrame, *, is_sparse: bool) -> None:
        """Validate ``frame``. Raises SchemaValidationError with one text per violation, in the order of the file.

        Violations are logged as DRUM does: a headline, then one error each (contract, 4.11).
        """
        errors = [text for entry in self._requirements if (text := self._violation(entry, frame, is_sparse))]
        if errors:
            logger.error("Schema validation found mismatch between output dataset and the supplied schema")
            for text in errors:
                logger.error("%s", text)
            raise SchemaValidationError(f"schema validation failed for output:\n {errors}")

    def _violation(self, entry: Requirement, frame: pd.DataFrame, is_sparse: bool) -> str | None:
        if entry.field == "data_types":
            if not entry.checked_types:
                logger.info("Skipping type validation")
                return None
            if not is_sparse and any(isinstance(dtype, pd.BooleanDtype) for dtype in frame.dtypes):
                logger.warning(_BOOLEANS)  # DRUM does not warn about numpy's booleans
            return _check_types(entry, column_types(frame, is_sparse=is_sparse), is_sparse or _has_fractions(frame))
        if entry.field == "number_of_columns":
            return _check_columns(entry, frame.shape[1])
        if entry.field == "sparse":
            return _check_sparse(entry, is_sparse)
        return _check_missing(entry, frame)


def column_types(frame: pd.DataFrame, *, is_sparse: bool) -> set[str]:
    """The column types of ``frame``."""
    if is_sparse:
        return {NUM}
    types: set[str] = set()
    for position, dtype in enumerate(frame.dtypes):
        column = frame.iloc[:, position]
        if isinstance(dtype, pd.CategoricalDtype):
            continue  # DRUM ignores them too
        if pd.api.types.is_datetime64_any_dtype(dtype):
            types.add(DATE)
        elif pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
            types.add(NUM)
        else:
            types |= _text_types(column, plain=dtype.kind == "O" and dtype.name != "string")
    return types


def _text_types(column: pd.Series[Any], *, plain: bool) -> set[str]:
    """Types of a column of objects or strings. ``plain`` is False for pandas' string type, which is never CAT."""
    values = column.dropna()
    if len(values) and all(_is_image(value) for value in values):
        return {IMG}
    types = {CAT} if plain else set()
    texts = values[values.map(lambda value: isinstance(value, str))]
    spaced = int(texts.map(lambda text: any(character.isspace() for character in text)).sum())
    if len(column) and spaced / len(column) >= _TEXT_SHARE:
        unique = texts.nunique()
        if unique / len(column) >= _UNIQUE_SHARE or unique >= _UNIQUE_COUNT:
            types.add(TXT)
    return types


def _is_image(value: Any) -> bool:
    if not isinstance(value, str) or len(value) % 4:
        return False
    try:
        head = base64.b64decode(value[:_IMAGE_HEAD], validate=True)
        is_image = head.startswith(_IMAGE_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        return is_image and bool(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False


def _has_fractions(frame: pd.DataFrame) -> bool:
    """A numeric column holds values that are not integers, or there is no numeric column."""
    numeric = 0
    for position, dtype in enumerate(frame.dtypes):
        column = frame.iloc[:, position].dropna()
        if dtype.kind == "O" and all(isinstance(value, bool) for value in column):
            return True  # only booleans, or nothing: neither text nor integers
        if dtype.kind in "bcm":
            return True
        if pd.api.types.is_numeric_dtype(dtype):
            numeric += 1
            values = column.to_numpy(dtype=np.float64)
            if not (np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < _LARGEST_INTEGER)).all():
                return True
    return numeric == 0


def _check_types(entry: Requirement, present: set[str], fractions: bool) -> str | None:
    expected = entry.checked_types
    equivalent = {TXT: CAT} if fractions else {TXT: CAT, NUM: CAT}
    found = {equivalent.get(name, name) for name in present}
    wanted = {equivalent.get(name, name) for name in expected}
    passes, tail = {
        "EQUALS": (found == wanted, ", but expected types to exactly match: {}"),
        "IN": (found <= wanted, ", which includes values that are not in {}."),
        "NOT_EQUALS": (not found & wanted, ", but expected {} to NOT be present."),
        "NOT_IN": (not found & wanted, ", but expected no types in: {} to be present"),
    }[entry.condition]
    if passes:
        return None
    return f"Datatypes incorrect. Data has types: {', '.join(sorted(present))}" + tail.format(", ".join(expected))


def _check_columns(entry: Requirement, count: int) -> str | None:
    value = entry.values if entry.condition in ("IN", "NOT_IN") else entry.values[0]
    if _COMPARISONS[entry.condition](count, value):
        return None
    return (
        f"Incorrect number of columns. {count} received. However, the schema dictates that number of columns should "
        f"be {entry.condition} {value}"
    )


def _check_sparse(entry: Requirement, is_sparse: bool) -> str | None:
    if entry.value == "NEVER" and is_sparse:
        return "Sparse output data found, however value is set to NEVER, expecting dense"
    if entry.value == "ALWAYS" and not is_sparse:
        return "Dense output data found, however value is set to ALWAYS, expecting sparse"
    return None


def _check_missing(entry: Requirement, frame: pd.DataFrame) -> str | None:
    if entry.value == "NEVER" and bool(frame.isna().any().any()):
        return "Output contains missing values, which the supplied task schema does not allow"
    return None
