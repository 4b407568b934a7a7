"""Elements of a tensor: typed fields of a message to raw bytes, and back. Raw bytes are little-endian and row-major."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from drum_litestar.errors import BadRequestError, BodyTooLargeError, shown
from drum_litestar.predictors.protocol import MOST_DIMENSIONS


class _Datatype(NamedTuple):
    field: str
    """Of ``InferTensorContents``."""
    code: str = ""
    """Of :mod:`array`; empty where the elements are no numbers."""
    size: int = 1
    """Bytes of one element."""


_DATATYPES: Final = {
    "BOOL": _Datatype("bool_contents"),
    "INT8": _Datatype("int_contents", "b", 1),
    "INT16": _Datatype("int_contents", "h", 2),
    "INT32": _Datatype("int_contents", "i", 4),
    "INT64": _Datatype("int64_contents", "q", 8),
    "UINT8": _Datatype("uint_contents", "B", 1),
    "UINT16": _Datatype("uint_contents", "H", 2),
    "UINT32": _Datatype("uint_contents", "I", 4),
    "UINT64": _Datatype("uint64_contents", "Q", 8),
    "FP32": _Datatype("fp32_contents", "f", 4),
    "FP64": _Datatype("fp64_contents", "d", 8),
    "BYTES": _Datatype("bytes_contents", "", 4),
}
_LENGTH: Final = struct.Struct("<I")
"""In front of each element of a BYTES tensor."""
_PART: Final = 1 << 15
"""Elements that are converted at once: some milliseconds of BYTES."""


def has_typed_contents(datatype: str) -> bool:
    """Whether there is a typed field for ``datatype``: FP16 has none."""
    return datatype in _DATATYPES


def raw_size(tensor: Any) -> int:
    """The bytes that :func:`to_raw` will return.

    Raises BadRequestError for a datatype without typed contents, and for a number of elements that is not the shape's.
    """
    datatype, values = _elements(tensor)
    if len(tensor.shape) > MOST_DIMENSIONS:  # their product would be a number of millions of digits
        raise BadRequestError(
            f"input {shown(tensor.name)}: {len(tensor.shape)} dimensions, more than {MOST_DIMENSIONS}"
        )
    expected = 1
    for dimension in tensor.shape:
        expected *= dimension
    if len(values) != expected:
        raise BadRequestError(
            f"input {shown(tensor.name)}: its shape {list(tensor.shape)} needs {expected} elements in {datatype.field} "
            f"({tensor.datatype}), which has {len(values)}"
        )
    size = len(values) * datatype.size
    return size + sum([sum(map(len, part)) for part in _parts(values)]) if tensor.datatype == "BYTES" else size


def to_raw(tensor: Any) -> bytes:
    """The raw bytes of the tensor's typed contents. Raises BadRequestError for a number out of range."""
    datatype, values = _elements(tensor)
    return b"".join([_packed(tensor, datatype, part) for part in _parts(values)])


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """``values`` in pieces, which are so short that no thread waits long for the interpreter's lock, and that objects
    take little memory."""
    return (values[start : start + _PART] for start in range(0, len(values), _PART))


def _packed(tensor: Any, datatype: _Datatype, values: Sequence[Any]) -> bytes:
    if tensor.datatype == "BYTES":
        return b"".join([piece for value in values for piece in (_LENGTH.pack(len(value)), value)])
    if not datatype.code:
        return bytes(values)
    try:
        numbers = array(datatype.code, values)
    except OverflowError:
        raise BadRequestError(
            f"input {shown(tensor.name)}: a number is out of the range of {tensor.datatype}"
        ) from None
    return _little_endian(numbers).tobytes()


def _elements(tensor: Any) -> tuple[_Datatype, Sequence[Any]]:
    datatype = _DATATYPES.get(tensor.datatype)
    if datatype is None:
        raise BadRequestError(
            f"input {shown(tensor.name)}: datatype {shown(tensor.datatype)} has no typed contents; "
            "send it in raw_input_contents"
        )
    return datatype, getattr(tensor.contents, datatype.field)


def check_size(sizes: Sequence[int], limit: int) -> None:
    """Raises BodyTooLargeError when tensors of these sizes in bytes have more than ``limit`` together: small integers
    take fewer bytes in a message than in a tensor."""
    if sum(sizes) > limit:
        raise BodyTooLargeError(limit)


def fill_typed(tensor: Any, raw: memoryview) -> None:
    """Set the typed contents of the answer's ``tensor``, whose datatype has some, from ``raw`` bytes.

    Raises ValueError for bytes that hold no whole number of elements.
    """
    datatype = _DATATYPES[tensor.datatype]
    field = getattr(tensor.contents, datatype.field)
    if tensor.datatype == "BYTES":
        field.extend(_split(raw))
    elif not datatype.code:
        field.extend([bool(value) for value in raw])
    else:
        numbers = array(datatype.code)
        numbers.frombytes(raw)
        for part in _parts(_little_endian(numbers)):
            field.extend(part)


def _split(raw: memoryview) -> list[bytes]:
    found, position = [], 0
    while position < len(raw):
        try:
            (length,) = _LENGTH.unpack_from(raw, position)
        except struct.error as error:
            raise ValueError(str(error)) from error
        position += _LENGTH.size
        found.append(bytes(raw[position : position + length]))
        position += length
    if position != len(raw):
        raise ValueError("the last element is incomplete")
    return found


def _little_endian(numbers: array[Any]) -> array[Any]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
