"""The fields of a message before it is parsed: what a parsed message takes can be a hundred times its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from drum_litestar.errors import BadRequestError, MessageTooLargeError

MOST_FIELDS: Final = 1 << 18
"""Of one message, without those inside of them: 65,536 inputs have as many raw contents, outputs and parameters."""
LARGEST_TYPED: Final = 16 << 20
"""Bytes of all fields but raw contents, which may take 16 times as many when they are parsed. The interpreter's lock is
held meanwhile, for some 10 ns a byte."""
LARGEST_SMALL: Final = 1 << 16
"""Bytes of a message of any other method. They name a model."""
_BEFORE_TENSORS: Final = 100
_ID: Final = 3
_RAW: Final = 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT: Final = 10


def check_infer_message(data: bytes) -> None:
    """Raises BadRequestError and MessageTooLargeError for a ``ModelInferRequest`` that would take too much to parse."""
    rest = len(data)
    for count, (number, start, end) in enumerate(_fields(data)):
        if count >= MOST_FIELDS:
            raise BadRequestError(f"the message has more than {MOST_FIELDS} fields")
        if number == _RAW:
            rest -= end - start
    if rest > LARGEST_TYPED:
        raise MessageTooLargeError(
            f"the message has {rest} bytes beside raw contents, more than {LARGEST_TYPED}; send large tensors in "
            "raw_input_contents"
        )


def check_small(data: bytes) -> None:
    """Raises MessageTooLargeError for a message without tensors that is too large: some of them need no token."""
    if len(data) > LARGEST_SMALL:
        raise MessageTooLargeError(f"the message has {len(data)} bytes, more than {LARGEST_SMALL}")


def request_id(data: bytes) -> str:
    """The id of a ``ModelInferRequest``; empty if it has none where clients write it, before the tensors."""
    try:
        for number, start, end in islice(_fields(data), _BEFORE_TENSORS):
            if number == _ID:
                return data[start:end].decode("utf-8", "ignore")
    except BadRequestError:
        pass
    return ""


def _fields(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Number of each field, and where its content begins and ends. Raises BadRequestError."""
    position, size = 0, len(data)
    while position < size:
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _BYTES:
            length, position = _varint(data, position)
            end = position + length
        elif kind == _VARINT:
            _, end = _varint(data, position)
        elif kind in (_FIXED32, _FIXED64):
            end = position + (4 if kind == _FIXED32 else 8)
        else:  # groups, which the protocol has none of
            break
        if end > size:
            break
        yield key >> 3, position, end
        position = end
    if position != size:
        raise BadRequestError("this is no ModelInferRequest: its fields do not fit into it")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at ``position``, and the position after it."""
    value = shift = 0
    for byte in data[position : position + _LONGEST_VARINT]:
        value |= (byte & 127) << shift
        position += 1
        if byte < 128:
            return value, position
        shift += 7
    raise BadRequestError("this is no ModelInferRequest: a number in it does not end")
