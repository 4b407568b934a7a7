"""Merging CSV bodies: the rows of several become one frame if each body alone gives the same columns and types.

pandas infers a column's type from all its values, so a body must not be merged with others that would change the types
of its columns (integers with another body's fractions, numbers with another body's text). Bodies of plain numbers are
read as one file, if its columns show which types each body has alone. All others are read one by one, and the columns
of those with the same types are joined.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from drum_litestar.predictors.native.shortcuts.csv_parser import CsvParser, CsvTable, has_lone_return
from drum_litestar.predictors.native.shortcuts.sklearn_direct import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray


_FIELD: Final = rb'(?:"(?:[^"]|"")*"|[^",\r\n][^,\r\n]*)?'
_HEADER: Final = re.compile(
    rb'(?!\xef\xbb\xbf"|(?:\xef\xbb\xbf)?[ \t]*\r?\n)' + _FIELD + rb"(?:," + _FIELD + rb")*\r?\n"
)
"""The first record of a file, as pandas' parser finds it; of unusual files, which are not merged, it matches none."""
_EXACT: Final = 2.0**53
"""From here on pandas reads a whole number as unsigned, text or float, depending on the other values."""
_SMALLEST: Final = b"9223372036854775808"
"""Negative it is what stands for a missing value in pandas' columns of integers: before pandas 3 it becomes one beside
another body's blank."""


class MergedBodies(NamedTuple):
    """Bodies with the same header and the same column types."""

    positions: tuple[int, ...]
    """Indices of the bodies, in the order of their rows."""
    lengths: tuple[int, ...]
    """Number of rows of each body."""
    data: bytes
    """One CSV of all rows."""
    table: CsvTable | None
    """All rows; None where features are made of them."""
    blocks: Sequence[NDArray[Any]] | None
    """What features are made of."""


class MergedTables(NamedTuple):
    """Tables with the same columns and types."""

    positions: tuple[int, ...]
    """Indices of the tables, in the order of their rows."""
    lengths: tuple[int, ...]
    """Number of rows of each table."""
    rows: Any
    """All rows: a frame, or, where features are made of them, the blocks."""


def merge_tables(tables: Sequence[CsvTable | None], features: Features | None = None) -> list[MergedTables]:
    """Groups of two or more tables. Those in no group, among them those that are None, must be predicted alone.

    ``features``: what is made of the rows.
    """
    by_types: dict[tuple[Any, ...], list[tuple[int, CsvTable, Sequence[Any]]]] = defaultdict(list)
    names = {id(table.columns): table.columns for table in tables if table is not None}  # mostly one object for all
    headers = {key: tuple(columns) for key, columns in names.items()}
    for position, table in enumerate(tables):
        arrays = None if table is None else _parts(table, features)
        if table is not None and arrays is not None:
            key = (headers[id(table.columns)], *[array.dtype for array in arrays])
            by_types[key].append((position, table, arrays))
    return [_merged(group, features) for group in by_types.values() if len(group) > 1]


def _parts(table: CsvTable, features: Features | None) -> Sequence[Any] | None:
    if features is not None:
        return features.blocks(table)
    return table.arrays if all(map(_is_of_one_type, table.arrays)) else None


def _merged(group: list[tuple[int, CsvTable, Sequence[Any]]], features: Features | None) -> MergedTables:
    positions, tables, arrays = zip(*group)
    joined: Any = [_concatenate(parts) for parts in zip(*arrays)]
    rows = CsvTable(tables[0].columns, joined).frame() if features is None else joined
    return MergedTables(positions, tuple([len(table) for table in tables]), rows)


class _Body(NamedTuple):
    position: int
    rows: bytes
    """The body without its header, ending with a line end."""


def merge_csv(bodies: Sequence[bytes], parse: CsvParser, features: Features | None = None) -> list[MergedBodies]:
    """Groups of two or more bodies. Bodies in no group must be read alone. Never raises for malformed bodies.

    ``features``: what is made of the rows. Types of columns that it does not use are of no importance then.
    """
    by_header: dict[bytes, list[_Body]] = defaultdict(list)
    for position, body in enumerate(bodies):
        match = _HEADER.match(body)
        rows = b"" if match is None else body[match.end() :]
        if match is not None and rows:
            by_header[match[0]].append(_Body(position, rows if rows.endswith(b"\n") else rows + b"\n"))
    groups = []
    for header, members in by_header.items():
        if len(members) > 1:
            reader = _Reader(parse, features, header)
            merged = reader.read_as_one(members)
            groups += reader.read_singly(members) if merged is None else [merged]
    return groups


class _Reader:
    """Reads bodies with one header."""

    def __init__(self, parse: CsvParser, features: Features | None, header: bytes) -> None:
        self._parse = parse
        self._features = features
        self._header = header

    def read_as_one(self, members: list[_Body]) -> MergedBodies | None:
        """All bodies; None if they are not such that their rows are lines and their types are certain."""
        data = self._header + b"".join([member.rows for member in members])
        if b'"' in data or _SMALLEST in data or has_lone_return(data):
            return None
        table = self._parse(data)
        lengths = tuple([member.rows.count(b"\n") for member in members])
        if table is None or len(table) != sum(lengths):  # less: a line is blank
            return None
        starts = np.cumsum((0, *lengths[:-1]))
        if not all(_parts_have_its_type(array, starts) for array in table.arrays):
            return None
        positions = tuple([member.position for member in members])
        if self._features is None:
            return MergedBodies(positions, lengths, data, table, None)
        blocks = self._features.blocks(table)
        return None if blocks is None else MergedBodies(positions, lengths, data, None, blocks)

    def read_singly(self, members: list[_Body]) -> list[MergedBodies]:
        """Groups of two or more bodies, each of which has the same types alone."""
        by_types: dict[tuple[Any, ...], list[tuple[_Body, CsvTable, Sequence[Any]]]] = defaultdict(list)
        for member in members:
            table = self._parse(self._header + member.rows)
            arrays = None if table is None else _parts(table, self._features)
            if table is not None and arrays is not None:
                by_types[tuple([array.dtype for array in arrays])].append((member, table, arrays))
        return [self._joined(group) for group in by_types.values() if len(group) > 1]

    def _joined(self, group: list[tuple[_Body, CsvTable, Sequence[Any]]]) -> MergedBodies:
        members, tables, arrays = zip(*group)
        joined = [_concatenate(parts) for parts in zip(*arrays)]
        return MergedBodies(
            tuple([member.position for member in members]),
            tuple([len(table) for table in tables]),
            self._header + b"".join([member.rows for member in members]),
            CsvTable(tables[0].columns, joined) if self._features is None else None,
            None if self._features is None else joined,
        )


def _parts_have_its_type(column: Any, starts: NDArray[np.intp]) -> bool:
    """Each body, the first rows of which are ``starts``, gives the column's type alone.

    Integers and booleans are such in any part of the column. A part is one of floats if one of its values is missing or
    has a fraction; of whole numbers it depends on the text.
    """
    kind = column.dtype
    if kind in (np.int64, np.bool_):
        return True
    if kind != np.float64:
        return False
    finite = np.isfinite(column)
    if (np.abs(column[finite]) >= _EXACT).any():
        return False
    return bool(np.logical_or.reduceat(~finite | (column != np.floor(column)), starts).all())


def _is_of_one_type(column: Any) -> bool:
    """The frame's type of a column of objects depends on their types, so only text is merged."""
    return column.dtype != object or infer_dtype(column, skipna=True) == "string"


def _concatenate(parts: Sequence[Any]) -> Any:
    """Columns, or blocks, of one type one below the other, in their memory layout, column by column."""
    dtype = parts[0].dtype
    joined = np.concatenate([np.asarray(part).T for part in parts], axis=-1).T
    return joined if isinstance(dtype, np.dtype) else pd.array(joined, dtype=dtype)
