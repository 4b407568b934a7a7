"""The protocol's datatypes: sizes, ranges, and elements as JSON and as bytes (REST, Tensor Data Types)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

Element = bool | int | float | str | bytes
"""BYTES elements are ``str`` in JSON and ``bytes`` in binary."""


class Datatype(NamedTuple):
    """``size``: bytes of an element, 0 if it varies. ``code``: its letter in :mod:`struct`."""

    name: str
    size: int
    code: str
    low: int = 0
    high: int = 0

    @property
    def whole(self) -> bool:
        return self.high > 0

    @property
    def real(self) -> bool:
        return self.name.startswith("FP")


def _whole(name: str, size: int, code: str) -> Datatype:
    bits = size * 8
    if name.startswith("U"):
        return Datatype(name, size, code, 0, 2**bits - 1)
    return Datatype(name, size, code, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


DATATYPES: Final = {
    datatype.name: datatype
    for datatype in (
        Datatype("BOOL", 1, "?"),
        *(_whole(f"UINT{size * 8}", size, code) for size, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))),
        *(_whole(f"INT{size * 8}", size, code) for size, code in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))),
        Datatype("FP16", 2, "e"),
        Datatype("FP32", 4, "f"),
        Datatype("FP64", 8, "d"),
        Datatype("BYTES", 0, ""),
    )
}


def sample(datatype: Datatype, count: int) -> list[Element]:
    """``count`` different small elements (of BOOL: by turns), as JSON has them."""
    if datatype.name == "BOOL":
        return [number % 2 == 0 for number in range(count)]
    if datatype.name == "BYTES":
        return [f"text {number}" for number in range(count)]
    return [number % 100 + (0.5 if datatype.real else 0) for number in range(1, count + 1)]


def to_bytes(datatype: Datatype, elements: Sequence[Element]) -> bytes:
    """Little-endian, without padding; BYTES with their lengths. Raises struct.error."""
    if datatype.size:
        return struct.pack(f"<{len(elements)}{datatype.code}", *elements)
    texts = [each.encode() if isinstance(each, str) else each for each in elements]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts if isinstance(text, bytes))


def from_bytes(datatype: Datatype, data: bytes) -> list[Element]:
    """Raises ValueError: ``data`` is not whole elements; its text says why."""
    if datatype.size:
        count, rest = divmod(len(data), datatype.size)
        if rest:
            raise ValueError(f"{len(data)} bytes are not whole elements of {datatype.size}")
        if datatype.name == "BOOL" and not set(data) <= {0, 1}:
            raise ValueError("a BOOL is neither 0 nor 1")
        return list(struct.unpack(f"<{count}{datatype.code}", data))
    elements: list[Element] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise ValueError("BYTES end within a length")
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if at + length > len(data):
            raise ValueError(f"a BYTES element of {length} bytes overruns its tensor")
        elements.append(data[at : at + length])
        at += length
    return elements


def misfit(datatype: Datatype, element: object) -> str:
    """Why ``element``, from JSON, is none of ``datatype``; empty if it is one."""
    name = datatype.name
    if name == "BOOL":
        fits = isinstance(element, bool)
    elif name == "BYTES":
        fits = isinstance(element, str)
    elif isinstance(element, bool):
        fits = False
    elif datatype.whole:
        fits = isinstance(element, int) and datatype.low <= element <= datatype.high
    else:
        fits = isinstance(element, (int, float))
    return "" if fits else f"{element!r} is no {name}"
