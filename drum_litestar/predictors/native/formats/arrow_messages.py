"""The sizes that the messages of an Arrow stream announce, read before any of them is decompressed.

pyarrow checks what a message refers to, not what it becomes: a buffer of a few bytes may decompress into any size, many
buffers may be the same bytes, and a schema may name one child a thousand times. Here the framing is read, and a few
tables of the messages' flatbuffers: what it takes to refuse these.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Any, Final, Iterator, Tuple

import numpy as np

MOST_COLUMNS: Final = 100_000
CONTINUES: Final = 0xFFFFFFFF
_PREFIX: Final = Struct("<Ii")
"""The mark of a message, and the length of its flatbuffer; a length of 0 ends the stream."""
_LENGTH: Final = Struct("<q")
_OFFSET: Final = Struct("<I")
_BACK: Final = Struct("<i")
_SHORT: Final = Struct("<H")
_BYTE: Final = Struct("<B")

_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3
"""Kinds of messages."""


class DamagedError(ValueError):
    """The bytes are not an Arrow stream, or one that is not read. The text says why, in the words of a message."""


class _Table:
    """A table of a flatbuffer."""

    __slots__ = ("_at", "_data", "_fields", "_vtable")

    def __init__(self, data: memoryview, at: int) -> None:
        """``at``: where it begins in ``data``."""
        self._data = data
        self._at = at
        self._vtable = at - _read(_BACK, data, at)
        self._fields = (_read(_SHORT, data, self._vtable) - 4) // 2

    @classmethod
    def root(cls, data: memoryview) -> _Table:
        return cls(data, _read(_OFFSET, data, 0))

    def place(self, number: int) -> int:
        """Where a field is; 0 when it is absent."""
        if number >= self._fields:
            return 0
        offset = _read(_SHORT, self._data, self._vtable + 4 + 2 * number)
        return self._at + offset if offset else 0

    def value(self, number: int, kind: Struct) -> int:
        """A number; 0 when it is absent."""
        place = self.place(number)
        return _read(kind, self._data, place) if place else 0

    def table(self, number: int) -> _Table | None:
        place = self.place(number)
        return _Table(self._data, place + _read(_OFFSET, self._data, place)) if place else None

    def vector(self, number: int) -> Tuple[int, int]:
        """Where the items of a vector begin, and their number."""
        place = self.place(number)
        if not place:
            return 0, 0
        start = place + _read(_OFFSET, self._data, place)
        return start + 4, _read(_OFFSET, self._data, start)

    def tables(self, number: int) -> Iterator[_Table]:
        start, count = self.vector(number)
        for place in range(start, start + 4 * count, 4):
            yield _Table(self._data, place + _read(_OFFSET, self._data, place))


def _read(kind: Struct, data: memoryview, at: int) -> int:
    if at < 0:
        raise DamagedError("a message refers to what is before it")
    number: int = kind.unpack_from(data, at)[0]
    return number


def decompressed_size(body: memoryview) -> int:
    """Bytes of all buffers of the stream in ``body`` when each is decompressed and stands alone.

    Raises DamagedError: for what is no whole stream, nested columns, and more than :data:`MOST_COLUMNS`.
    """
    try:
        return _size(body)
    except (error, ValueError, OverflowError) as problem:  # of struct and numpy: they would read beyond the end
        if isinstance(problem, DamagedError):
            raise
        raise DamagedError("it is damaged, or ends too early") from None


def _size(body: memoryview) -> int:
    at = total = 0
    first = True
    while True:
        mark, length = _PREFIX.unpack_from(body, at)
        if mark != CONTINUES or length < 0:
            raise DamagedError("it has no message where one must begin")
        if length == 0:
            return total
        end = at + _PREFIX.size + length
        message = _Table.root(body[at + _PREFIX.size : end])
        kind, content, size = message.value(1, _BYTE), message.table(2), message.value(3, _LENGTH)
        if content is None or size < 0 or end + size > len(body):
            raise DamagedError("it ends within a message")
        if first != (kind == _SCHEMA):
            raise DamagedError("it must have one schema, at its beginning")
        if kind == _SCHEMA:
            _check_schema(content)
        else:
            records = content.table(1) if kind == _DICTIONARY else content
            if records is None or kind not in (_DICTIONARY, _RECORDS):
                raise DamagedError("it has a message that is neither a schema, a dictionary nor a batch of rows")
            total += _buffers(records, body[at + _PREFIX.size : end], body[end : end + size])
        at, first = end + size, False


def _check_schema(schema: _Table) -> None:
    _, count = schema.vector(1)
    if count > MOST_COLUMNS:
        raise DamagedError(f"it has {count} columns, more than {MOST_COLUMNS}")
    for field in schema.tables(1):
        if field.vector(5)[1]:
            raise DamagedError("it has a nested column (list, struct, map, union); a cell is one value")


def _buffers(records: _Table, message: memoryview, body: memoryview) -> int:
    """Bytes of one batch's buffers."""
    start, count = records.vector(2)
    if not count:
        return 0
    places: Any = np.frombuffer(message, "<i8", 2 * count, start).reshape(count, 2)
    offsets, lengths = places.T
    if (places < 0).any() or (offsets > len(body)).any() or (lengths > len(body) - offsets).any():
        raise DamagedError("a batch of rows refers to what is beyond its end")
    if not records.place(3):
        return sum(lengths.tolist())
    return sum(_decompressed(body, offset, length) for offset, length in places.tolist() if length)


def _decompressed(body: memoryview, offset: int, length: int) -> int:
    """A buffer begins with its length when decompressed; -1 means that it is not compressed."""
    size: int = _LENGTH.unpack_from(body, offset)[0] if length >= _LENGTH.size else -2
    if size < -1:
        raise DamagedError("a compressed buffer has no length")
    return length - _LENGTH.size if size == -1 else size
