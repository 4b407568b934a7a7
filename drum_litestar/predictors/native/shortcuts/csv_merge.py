"""Merging CSV bodies: several are read as one if each body alone gives the same columns, types and values.

One ``read_csv`` of 64 one-row bodies costs little more than one of a single body, which is the gain of batching.
pandas infers a column's type from all its values, so a body must not be merged with others that would change the types
of its columns (integers with another body's fractions, numbers with another body's text). The types that each body has
alone are derived from the merged columns and, where these are ambiguous (``3`` and ``3.0``), from the text; bodies are
grouped by them. Bodies whose types remain unknown are not merged.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Tuple

import numpy as np
import pandas as pd

from drum_litestar.predictors.native.shortcuts.plain_csv import read_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_BODY = 128 * 1024
"""Bytes. pandas reads larger files in chunks and decides types chunk by chunk."""
_EXACT = 2.0**53
"""From here on pandas reads a whole number as unsigned, text or float, depending on the other values."""
_HUGE_DIGITS = 19
"""Digits of 2**63."""
_BOOLEAN_WORDS = frozenset({"true", "false"})

Signature = Tuple[str, ...]


class MergedBodies(NamedTuple):
    """Bodies with the same header and the same column types."""

    positions: tuple[int, ...]
    """Indices of the bodies, in the order of their rows."""
    lengths: tuple[int, ...]
    """Number of rows of each body."""
    frame: pd.DataFrame
    data: bytes
    """One CSV of all rows."""
    uniform: bool = False
    """Each body alone is known to have the columns' types."""


class _Body(NamedTuple):
    position: int
    rows: bytes
    """The body without its header, ending with a line end."""
    length: int
    """Lines in ``rows``."""


def merge_csv(bodies: Sequence[bytes]) -> list[MergedBodies]:
    """Groups of two or more bodies. Bodies in no group must be read alone. Never raises for malformed bodies."""
    by_header: dict[bytes, list[_Body]] = defaultdict(list)
    for position, body in enumerate(bodies):
        header, _, rows = body.partition(b"\n")
        if _is_plain(body, header, rows):
            rows = rows if rows.endswith(b"\n") else rows + b"\n"
            by_header[header].append(_Body(position, rows, rows.count(b"\n")))
    groups = []
    for header, members in by_header.items():
        if len(members) > 1:
            groups += _merge(header, members)
    return groups


def _is_plain(body: bytes, header: bytes, rows: bytes) -> bool:
    """Lines can be counted and fields split without a CSV parser."""
    return (
        len(body) <= _MAX_BODY
        and bool(header.strip())
        and bool(rows)
        and b'"' not in body
        and b"\0" not in body
        and b"\n\n" not in body
        and (b"\r" not in body or (b"\n\r\n" not in body and body.count(b"\r") == body.count(b"\r\n")))
        and header.count(b",")
        == rows.partition(b"\n")[0].count(b",")  # otherwise pandas takes the first field as index
    )


def _merge(header: bytes, members: list[_Body]) -> list[MergedBodies]:
    merged = _read(header, members)
    if merged is None:
        return []
    if merged.uniform:
        return [merged]
    by_signature: dict[Signature | None, list[_Body]] = defaultdict(list)
    for member, signature in zip(members, _signatures(merged.frame, members)):
        by_signature[signature].append(member)
    unclear = by_signature.pop(None, [])
    if len(by_signature) == 1 and not unclear:
        return [merged]
    again = (_read(header, group) for group in by_signature.values() if len(group) > 1)
    groups = [group for group in again if group is not None]
    if by_signature and len(unclear) > 1:  # without the other bodies their types may be clear
        groups += _merge(header, unclear)
    return groups


def _read(header: bytes, members: list[_Body]) -> MergedBodies | None:
    data = header + b"\n" + b"".join([member.rows for member in members])
    positions = tuple([member.position for member in members])
    lengths = tuple([member.length for member in members])
    plain = read_plain(data)
    if plain is not None:
        return MergedBodies(positions, lengths, plain.frame, data, plain.uniform)
    try:
        # The default `low_memory` reads in chunks, which only the merged file is large enough for.
        frame = pd.read_csv(io.BytesIO(data), low_memory=False)
    except (ValueError, OverflowError):  # a body is malformed: read alone, it fails with its own error
        return None
    rows = sum(lengths)
    if len(frame) != rows or not frame.index.equals(pd.RangeIndex(rows)):
        return None
    return MergedBodies(positions, lengths, frame, data)


def _signatures(frame: pd.DataFrame, members: list[_Body]) -> list[Signature | None]:
    """For each body the types that its columns have when it is read alone; None when they are unknown."""
    starts = np.cumsum([0, *(member.length for member in members[:-1])])
    columns = [_column_types(column, field, starts, members) for field, (_, column) in enumerate(frame.items())]
    return [None if None in types else types for types in zip(*columns)]


def _column_types(
    column: pd.Series[Any], field: int, starts: NDArray[np.intp], members: list[_Body]
) -> Sequence[str | None]:
    kind = str(column.dtype)
    if kind in ("int64", "bool"):
        return [kind] * len(members)
    if kind == "float64":
        return _float_types(column.to_numpy(), field, starts, members)
    if kind in ("object", "str"):
        cells = column.tolist()
        if any(_is_huge_integer(cell) for cell in cells):
            return [None] * len(members)  # with such a value pandas keeps even missing values as text
        ends = [*starts[1:].tolist(), len(cells)]
        return [
            "text" if any(_is_text(cell) for cell in cells[start:end]) else None
            for start, end in zip(starts.tolist(), ends)
        ]
    return [None] * len(members)


def _float_types(
    values: NDArray[np.float64], field: int, starts: NDArray[np.intp], members: list[_Body]
) -> list[str | None]:
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        certain = np.logical_or.reduceat(~finite | (values != np.floor(values)), starts).tolist()
        unclear = np.logical_or.reduceat(finite & (np.abs(values) >= _EXACT), starts).tolist()
    return [
        None if is_unclear else "float64" if is_certain or _has_decimal_point(member, field) else "int64"
        for is_unclear, is_certain, member in zip(unclear, certain, members)
    ]


def _has_decimal_point(member: _Body, field: int) -> bool:
    """Some value of the column is written as a float."""
    for line in member.rows.splitlines():
        text = line.split(b",")[field]
        if b"." in text or b"e" in text or b"E" in text:
            return True
    return False


def _is_huge_integer(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= _HUGE_DIGITS and value.strip().lstrip("+-").isdigit()


def _is_text(value: Any) -> bool:
    """One such value makes the column text."""
    if not isinstance(value, str):
        return False
    try:
        float(value)
    except ValueError:
        return value.strip().lower() not in _BOOLEAN_WORDS
    return False
