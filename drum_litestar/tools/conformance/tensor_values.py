"""Tensors of requests and answers, as JSON objects and as binary data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from drum_litestar.tools.conformance.element_types import (
    DATATYPES,
    Datatype,
    Element,
    from_bytes,
    misfit,
    to_bytes,
)
from drum_litestar.tools.conformance.verdicts import FailedCheck, require

MOST_ELEMENTS = 1_000_000
"""Refused as an answer: no model under test has so many."""


class Tensor(NamedTuple):
    """``elements``: flat, row-major. ``binary``: how it travels, or has travelled."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    elements: Sequence[Element]
    parameters: dict[str, Any] = {}  # noqa: RUF012 -- never changed
    binary: bool = False

    def described(self, **parameters: Any) -> dict[str, Any]:
        """The object without its data."""
        described = {"name": self.name, "shape": list(self.shape), "datatype": self.datatype.name}
        parameters = {**self.parameters, **parameters}
        return {**described, "parameters": parameters} if parameters else described

    def as_json(self) -> dict[str, Any]:
        """The object with flat data."""
        return {**self.described(), "data": list(self.elements)}

    def data(self) -> bytes:
        return to_bytes(self.datatype, self.elements)

    def same_values(self, other: Tensor) -> bool:
        """Equal in name, datatype, shape and values; text is compared as UTF-8."""
        mine, theirs = (
            [each.encode() if isinstance(each, str) else each for each in t.elements] for t in (self, other)
        )
        return self[:3] == other[:3] and len(mine) == len(theirs) and all(map(_close, mine, theirs))


def _close(one: Element, other: Element) -> bool:
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(one) and math.isnan(other))
    return one == other


def nested(elements: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    """Row-major ``elements`` in lists of lists."""
    if len(shape) < 2:
        return list(elements)
    size = math.prod(shape[1:])
    return [nested(elements[row * size : (row + 1) * size], shape[1:]) for row in range(shape[0])]


def wrapping_shape(shape: Sequence[int]) -> list[int]:
    """Another shape of the same number of elements in arithmetic modulo 2**64."""
    count = math.prod(shape)
    return [2**63 + count // 2, 2] if count % 2 == 0 else [2**32, 2**32, count]


def flattened(data: object) -> Iterable[Any]:
    """The elements of lists of lists, in order."""
    if isinstance(data, list):
        for each in data:
            yield from flattened(each)
    else:
        yield data


def read_tensor(described: object, data: bytes | None) -> Tensor:
    """A tensor of an answer: ``described`` is its JSON object, ``data`` its bytes if it is binary.

    Raises FailedCheck: the object breaks the specification's description of an output.
    """
    if not isinstance(described, dict):
        raise FailedCheck(f"a tensor is no object: {described!r}")
    name, shape, word = (described.get(key) for key in ("name", "shape", "datatype"))
    where = f"tensor {name!r}: "
    require(isinstance(name, str), f"{where}no name")
    require(isinstance(word, str) and word in DATATYPES, f"{where}datatype {word!r} is not in the specification")
    require(
        isinstance(shape, list) and all(type(each) is int and 0 <= each < 2**64 for each in shape),
        f"{where}shape {shape!r} is no list of sizes",
    )
    parameters = described.get("parameters") or {}
    require(isinstance(parameters, dict), f"{where}parameters are no object")
    datatype, sizes, count = DATATYPES[str(word)], tuple(shape or ()), math.prod(shape or ())
    require(count <= MOST_ELEMENTS, f"{where}{count} elements")
    if data is None:
        require("data" in described, f"{where}neither data nor binary_data_size")
        elements = _json_elements(where, described["data"], datatype, sizes)
    else:
        require("data" not in described, f"{where}both data and binary_data_size")
        try:
            elements = from_bytes(datatype, data)
        except ValueError as error:
            raise FailedCheck(f"{where}{error}") from None
    require(len(elements) == count, f"{where}shape {list(sizes)} with {len(elements)} elements")
    return Tensor(str(name), datatype, sizes, elements, parameters, data is not None)


def _json_elements(where: str, data: object, datatype: Datatype, shape: tuple[int, ...]) -> list[Element]:
    require(isinstance(data, list), f"{where}data is no array")
    elements = list(flattened(data))
    for element in elements:
        if problem := misfit(datatype, element):
            raise FailedCheck(f"{where}{problem}")
    if len(elements) == math.prod(shape) and data != elements:
        require(data == nested(elements, shape), f"{where}nested data of another shape than {list(shape)}")
    return elements
