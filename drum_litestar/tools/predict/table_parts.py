"""A CSV file cut into parts between records: each part is the header and some of the file's own bytes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

LARGEST_PART: Final = 32 << 20
"""Bytes after which a part ends although it has fewer rows than asked for, so that wide tables need no more memory."""
BLOCK_ROWS: Final = 1024
_LONGEST_FIELD: Final = 1 << 30


class UncuttableError(Exception):
    """It is not certain where the records of the file end; the text says why."""


class Part(NamedTuple):
    """Some rows of the file with its header."""

    data: bytes
    first: int
    """Number of its first record, from 1."""
    last: int
    end: int
    """Bytes of the file up to its end."""


def cut(path: Path, rows: int) -> Iterator[Part]:
    """The parts of ``path``, of at most ``rows`` records each.

    Records end as pandas sees them: a line end within quotes does not end one. Raises UncuttableError for a file that
    only the reader of the whole can be trusted with, and OSError.
    """
    limit = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open("rb") as stream:
            yield from _parts(iter(stream), rows)
    finally:
        csv.field_size_limit(limit)


def _parts(lines: Iterator[bytes], rows: int) -> Iterator[Part]:
    header = _header(lines)
    several = b"," in header
    end, first = len(header), 1
    pieces: list[bytes] = []
    size = count = 0
    while block := list(islice(lines, min(BLOCK_ROWS, rows - count))):
        data, records = _whole_records(block, lines)
        pieces.append(data)
        size += len(data)
        count += records
        if count >= rows or size >= LARGEST_PART:
            end += size
            if not several or _has_rows(pieces):
                yield Part(header + b"".join(pieces), first, first + count - 1, end)
            first += count
            pieces, size, count = [], 0, 0
    if pieces and (not several or _has_rows(pieces)):
        yield Part(header + b"".join(pieces), first, first + count - 1, end + size)


def _has_rows(pieces: list[bytes]) -> bool:
    """Blank lines are no rows, but for a single column, where they are missing values."""
    return any(piece.strip(b" \t\r\n") for piece in pieces)


def _header(lines: Iterator[bytes]) -> bytes:
    """The first record. Raises UncuttableError."""
    header = next(lines, b"")
    while header.count(b'"') % 2:
        more = next(lines, b"")
        if not more:
            raise UncuttableError("a quote in its header is not closed")
        header += more
    if not header.strip():
        raise UncuttableError("its first line is blank")
    _check(header)
    return header


def _whole_records(block: list[bytes], lines: Iterator[bytes]) -> tuple[bytes, int]:
    """The lines of ``block`` and those that its last record still needs; and the number of records. Raises
    UncuttableError."""
    data = b"".join(block)
    if b'"' not in data:
        _check(data)
        return data, len(block)
    taken: list[bytes] = []

    def texts() -> Iterator[str]:
        for line in block:
            taken.append(line)
            yield line.decode("latin-1")
        for line in lines:
            taken.append(line)
            yield line.decode("latin-1")

    count = 0
    try:
        for _ in csv.reader(texts()):
            count += 1
            if len(taken) >= len(block):
                break
    except csv.Error as error:
        raise UncuttableError(f"its quotes are not those of plain CSV ({error})") from error
    data = b"".join(taken)
    _check(data)
    return data, count


def _check(data: bytes) -> None:
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        raise UncuttableError("it has carriage returns that are no part of a line end")
    if b"\0" in data:
        raise UncuttableError("it has zero bytes")
