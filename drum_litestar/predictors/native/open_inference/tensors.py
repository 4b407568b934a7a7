"""Tensors of the Open Inference Protocol: between their two encodings, JSON and binary, and NumPy.

A shape is compared with the data before anything of its size is made, so that a dimension costs no memory.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, Final, List, NamedTuple, Optional, Sequence, Tuple

import msgspec
import numpy as np

from drum_litestar.errors import BadRequestError, shown
from drum_litestar.predictors.protocol import MOST_DIMENSIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTES: Final = "BYTES"
FP16: Final = "FP16"
FP64: Final = "FP64"

DTYPES: Final[Dict[str, Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    FP16: np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    FP64: np.dtype("<f8"),
}
"""NumPy's types, as the binary encoding has them: little-endian. BYTES has none."""
DATATYPES: Final = (*DTYPES, BYTES)
_WORDS: Final = {dtype: word for word, dtype in DTYPES.items()}
_MOST_ELEMENTS: Final = 2**59
"""Beyond it NumPy has no shape, even if a dimension of it is 0."""
_LENGTH: Final = struct.Struct("<I")
_BRACKETS: Final = re.compile(rb"[\s\[]*")


class Tensor(NamedTuple):
    """One tensor."""

    name: str
    datatype: str
    values: NDArray[Any]
    """Of the tensor's shape. A view of the request where it was binary, so read-only and perhaps not aligned. BYTES are
    objects: bytes where they were binary, str where they were JSON, and None for JSON's null."""
    content_type: str = ""
    """What the client says of the elements."""

    @property
    def shape(self) -> Tuple[int, ...]:
        return self.values.shape


def check_head(name: str, datatype: str, shape: Sequence[int]) -> int:
    """The number of elements. Raises BadRequestError for an unknown datatype, and an impossible or empty shape."""
    if datatype not in DATATYPES:
        raise BadRequestError(
            f"tensor {shown(name)}: unknown datatype {shown(datatype)}; there are {', '.join(DATATYPES)}"
        )
    if len(shape) > MOST_DIMENSIONS:
        raise BadRequestError(f"tensor {shown(name)}: {len(shape)} dimensions, more than {MOST_DIMENSIONS}")
    count = extent = 1
    for size in shape:
        count *= size
        extent *= abs(size) or 1
    if extent > _MOST_ELEMENTS:  # the numbers may have too many digits for a message
        raise BadRequestError(f"tensor {shown(name)}: the dimensions of the shape are too large")
    if any(size < 0 for size in shape):
        raise BadRequestError(f"tensor {shown(name)}: a dimension of the shape is negative: {list(shape)}")
    if not count:  # no model takes it, and a dimension beside a 0 may be any number, of columns or of empty lists
        raise BadRequestError(f"tensor {shown(name)}: a shape of no elements: {list(shape)}")
    return count


def from_json(name: str, datatype: str, shape: Sequence[int], data: bytes) -> Tensor:
    """The tensor whose elements are the JSON array ``data``, nested like ``shape`` or flat.

    JSON's null is a missing value in FP32, FP64 and BYTES. Raises BadRequestError for all that does not fit.
    """
    count = check_head(name, datatype, shape)
    if datatype == FP16:
        raise BadRequestError(f"tensor {shown(name)}: FP16 cannot be sent as JSON; send it as binary data")
    depth = _depth(data)
    if depth not in (1, len(shape)):
        raise BadRequestError(
            f"tensor {shown(name)}: data is nested {depth} deep; for shape {list(shape)} it must be flat"
            + (f", or nested {len(shape)} deep" if len(shape) > 1 else "")
        )
    try:
        elements = _decoder(datatype, depth)(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRequestError(f"tensor {shown(name)}: data is not {datatype}: {error}") from None
    values = _array(name, datatype, elements)
    if depth > 1 and values.shape != tuple(shape):
        raise BadRequestError(f"tensor {shown(name)}: data is not nested as its shape {list(shape)} says")
    if values.size != count:
        raise _wrong_count(name, shape, count, values.size)
    return Tensor(name, datatype, values.reshape(tuple(shape)))


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> Tensor:
    """The tensor in the binary encoding: the elements row by row, little-endian; BYTES with a length of 4 bytes each.

    Raises BadRequestError for another number of bytes than the shape asks for.
    """
    count = check_head(name, datatype, shape)
    if datatype == BYTES:
        elements = _split(name, data)
        if len(elements) != count:
            raise _wrong_count(name, shape, count, len(elements))
        return Tensor(name, datatype, _objects(elements).reshape(tuple(shape)))
    dtype = DTYPES[datatype]
    if count * dtype.itemsize != len(data):
        raise BadRequestError(
            f"tensor {shown(name)}: {len(data)} bytes of binary data for shape {list(shape)} of {datatype}, "
            f"which has {count * dtype.itemsize}"
        )
    if datatype == "BOOL" and len(data) and int(np.frombuffer(data, np.uint8).max()) > 1:
        raise BadRequestError(f"tensor {shown(name)}: a byte of BOOL is neither 0 nor 1")
    return Tensor(name, datatype, np.frombuffer(data, dtype).reshape(tuple(shape)))


def of_element(name: str, element: Any) -> Tensor:
    """The BYTES tensor of one element."""
    return Tensor(name, BYTES, _objects([element]))


def of_array(name: str, values: NDArray[Any]) -> Tensor:
    """The tensor with the elements of ``values``: numbers as they are, anything else as BYTES.

    A missing text is an empty one, as in CSV.
    """
    word = _WORDS.get(values.dtype.newbyteorder("<"))
    if word == FP16:
        return Tensor(name, "FP32", values.astype(np.float32))
    if word is not None:
        return Tensor(name, word, values)
    flat = [_text(value) for value in values.ravel().tolist()]
    return Tensor(name, BYTES, _objects(flat).reshape(values.shape))


def to_json(tensor: Tensor) -> List[Any]:
    """The elements, flat, for msgspec's JSON, which writes NaN and infinities as null.

    Raises BadRequestError for bytes that are no UTF-8.
    """
    elements: List[Any] = tensor.values.ravel().tolist()
    if tensor.datatype != BYTES:
        return elements
    try:
        return [element if isinstance(element, str) else element.decode() for element in elements]
    except UnicodeDecodeError:
        raise BadRequestError(
            f"output {shown(tensor.name)} is not UTF-8, so that JSON cannot have it; ask for it in binary (binary_data)"
        ) from None


def to_bytes(tensor: Tensor) -> bytes:
    """The elements in the binary encoding."""
    if tensor.datatype != BYTES:
        return np.ascontiguousarray(tensor.values, dtype=DTYPES[tensor.datatype]).tobytes()
    pieces: List[bytes] = []
    for element in tensor.values.ravel().tolist():
        raw = element.encode() if isinstance(element, str) else element
        pieces += (_LENGTH.pack(len(raw)), raw)
    return b"".join(pieces)


def as_text(element: Any, name: str) -> str:
    """An element of BYTES as text. Raises BadRequestError if it is no UTF-8."""
    if isinstance(element, str):
        return element
    try:
        text: str = element.decode()
    except UnicodeDecodeError:
        raise BadRequestError(f"tensor {shown(name)}: an element of BYTES is not UTF-8") from None
    return text


def _depth(data: bytes) -> int:
    found = _BRACKETS.match(data)
    return 0 if found is None else found[0].count(b"[")


@lru_cache(maxsize=256)
def _decoder(datatype: str, depth: int) -> Callable[[bytes], Any]:
    kinds: Dict[str, Any] = {"B": bool, "U": int, "I": int, "F": Optional[float]}
    kind: Any = Optional[str] if datatype == BYTES else kinds[datatype[0]]
    for _ in range(depth):
        kind = List[kind]
    return msgspec.json.Decoder(kind).decode


def _array(name: str, datatype: str, elements: List[Any]) -> NDArray[Any]:
    if datatype == BYTES:
        return np.array(elements, dtype=object)
    dtype = DTYPES[datatype]
    try:
        if datatype == "FP32":
            with np.errstate(over="ignore"):
                values: NDArray[Any] = np.array(elements, dtype=dtype)
            fits = not np.isinf(values).any()
        elif dtype.kind not in "iu":  # msgspec has refused numbers beyond FP64
            values, fits = np.array(elements, dtype=dtype), True
        else:
            values, fits = _integers(elements, dtype)
    except ValueError:
        raise BadRequestError(f"tensor {shown(name)}: the lists in data have different lengths") from None
    except OverflowError:
        fits = False
    if not fits:
        raise BadRequestError(f"tensor {shown(name)}: a number in data is out of the range of {datatype}")
    return values


def _integers(elements: List[Any], dtype: Any) -> Tuple[NDArray[Any], bool]:
    """The array, and whether all elements are in its range."""
    try:
        wide: NDArray[Any] = np.array(elements, dtype=np.int64)
    except OverflowError:
        if dtype != np.uint64:
            raise
        wide = np.array(elements, dtype=object)
    if wide.size:
        limits = np.iinfo(dtype)
        if wide.min() < limits.min or wide.max() > limits.max:
            return wide, False
    return wide.astype(dtype), True


def _objects(elements: List[Any]) -> NDArray[Any]:
    values = np.empty(len(elements), dtype=object)
    values[:] = elements
    return values


def _split(name: str, data: memoryview) -> List[bytes]:
    """The elements of BYTES."""
    found, position, end = [], 0, len(data)
    while position < end:
        start = position + _LENGTH.size
        position = end + 1 if start > end else start + _LENGTH.unpack_from(data, position)[0]
        if position > end:
            raise BadRequestError(f"tensor {shown(name)}: an element of BYTES reaches beyond the tensor's binary data")
        found.append(bytes(data[start:position]))
    return found


def _text(value: Any) -> Any:
    if isinstance(value, (str, bytes)):
        return value
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return str(value)


def _wrong_count(name: str, shape: Sequence[int], count: int, found: int) -> BadRequestError:
    return BadRequestError(f"tensor {shown(name)}: {found} elements, which are not those of shape {list(shape)}")
