"""Direct and merged predictions beside those of the model itself, bit for bit. Runs on Python 3.8, too."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple

import numpy as np
import pandas as pd

from drum_litestar.predictors.native.frameworks.base import predict_estimator
from drum_litestar.predictors.native.shortcuts.csv_merge import merge_csv
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvParser, csv_parser
from drum_litestar.predictors.native.shortcuts.merged_estimator import merged_model
from drum_litestar.predictors.native.shortcuts.sklearn_direct import direct_model
from drum_litestar.predictors.protocol import TargetType

SIZES = (*[1] * 6, 2, 2, 3, 9, 1, 70, 2)
"""Rows of the bodies of :func:`numeric_bodies`."""


class Compared(NamedTuple):
    """How many bodies were predicted in which way, each with the bits of ``model`` itself."""

    direct: int
    merged: int
    refused: int
    """Bodies for which the model raises an exception."""
    rule: str
    """``never``, ``on_request`` or ``always``: what the merged model says of its speed."""
    by_matmul: bool
    """Calls of one row are multiplied in a stack of matrices."""


@functools.lru_cache(maxsize=None)
def parser() -> CsvParser:
    """The checked parser; the check takes longer than most comparisons."""
    parse = csv_parser()
    assert parse is not None
    return parse


def numeric_bodies(width: int, sizes: Sequence[int] = SIZES, *, seed: int = 1) -> list[bytes]:
    """CSVs of so many rows each; the magnitudes of the rows are between 1e-8 and 1e8."""
    rng = np.random.default_rng(seed)
    bodies = []
    for rows in sizes:
        values = rng.normal(size=(rows, width)) * 10.0 ** rng.integers(-8, 9, size=(rows, 1))
        bodies.append(csv_of(pd.DataFrame(values, columns=names(width))))
    return bodies


def names(width: int) -> list[str]:
    return [f"x{number}" for number in range(width)]


def csv_of(frame: pd.DataFrame) -> bytes:
    text: str = frame.to_csv(index=False)
    return text.encode()


def compare(model: Any, target: TargetType, bodies: Sequence[bytes]) -> Compared:
    """Predict ``bodies`` each alone, directly, and those that the model accepts merged in one call.

    Raises AssertionError where a direct prediction, or an exception, is not that of the model, and where the rows of a
    merged call have not the bits of the body predicted alone.
    """
    parse = parser()
    expected = [_outcome(functools.partial(_plainly, model, target, body)) for body in bodies]
    direct = direct_model(model, target)
    directly = 0
    for body, (values, error) in zip(bodies, expected):
        table = parse(body)
        if direct is None or table is None:
            continue
        found, raised = _outcome(functools.partial(direct.predict, table))
        if found is not None or raised is not None:
            directly += 1
            assert raised == error, (model, body)
            if error is None:
                _require_equal(found[0], values, (model, body))
    accepted = [position for position, (_, error) in enumerate(expected) if error is None]
    merged = merged_model(model, direct, target)
    together = 0
    if merged is not None:
        for group in merge_csv([bodies[position] for position in accepted], parse, merged.features):
            if group.table is None:
                assert group.blocks is not None
                answer = merged.predict_blocks(group.blocks, group.lengths)
            else:
                answer = merged.predict_frame(group.table.frame(), group.lengths)
            if answer is None:
                continue
            together += len(group.lengths)
            parts = np.split(answer[0], np.cumsum(group.lengths)[:-1])
            for part, member in zip(parts, group.positions):
                position = accepted[member]
                _require_equal(part, expected[position][0], (model, bodies[position], group.lengths))
    rule = "never" if merged is None else "always" if merged.worthwhile else "on_request"
    by_matmul = merged is not None and merged.steps.linear is not None
    return Compared(directly, together, len(bodies) - len(accepted), rule, by_matmul)


def _plainly(model: Any, target: TargetType, body: bytes) -> Any:
    """As without any shortcut."""
    return predict_estimator(model, pd.read_csv(io.BytesIO(body)), target, "SKLearnPredictor")[0]


def _outcome(predict: Callable[[], Any]) -> tuple[Any, str | None]:
    """The result, or the exception's text."""
    try:
        return predict(), None
    except Exception as error:
        return None, repr(error)


def _require_equal(found: Any, expected: Any, where: Any) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), where
    assert found.tobytes() == expected.tobytes(), where
