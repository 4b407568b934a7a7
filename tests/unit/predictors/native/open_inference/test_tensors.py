"""The tensor codec: JSON and binary to NumPy and back, and everything that does not fit."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drum_litestar.errors import BadRequestError
from drum_litestar.predictors.native.open_inference.tensor_tables import tensors_of
from drum_litestar.predictors.native.open_inference.tensors import (
    DTYPES,
    Tensor,
    from_bytes,
    from_json,
    of_array,
    to_bytes,
    to_json,
)


def packed(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


@pytest.mark.parametrize("datatype", DTYPES)
def test_binary_is_a_view_and_comes_back(datatype: str) -> None:
    data = np.array([[0, 1, 1], [1, 0, 1]], dtype=DTYPES[datatype]).tobytes()
    body = b"x" + data  # not aligned
    tensor = from_bytes("t", datatype, [2, 3], memoryview(body)[1:])
    assert tensor.shape == (2, 3)
    assert np.shares_memory(tensor.values, np.frombuffer(body, np.uint8))
    assert to_bytes(tensor) == data


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "expected"),
    [
        ("FP64", [2], b"[1, 2.5]", [1.0, 2.5]),
        ("FP32", [2, 2], b"[[1,2],[3,4]]", [[1, 2], [3, 4]]),
        ("FP64", [2, 2], b" [1,2, 3,4]", [[1, 2], [3, 4]]),
        ("INT8", [2], b"[-128, 127]", [-128, 127]),
        ("UINT64", [2], b"[0, 18446744073709551615]", [0, 2**64 - 1]),
        ("INT64", [1], b"[-9223372036854775808]", [-(2**63)]),
        ("BOOL", [2], b"[true,false]", [True, False]),
        ("BYTES", [2, 1], '[["é"],["b"]]'.encode(), [["é"], ["b"]]),
        ("BYTES", [1], b"[null]", [None]),
        ("FP64", [1, 2, 2], b"[[[1,2],[3,4]]]", [[[1, 2], [3, 4]]]),
    ],
)
def test_json(datatype: str, shape: list[int], data: bytes, expected: list[Any]) -> None:
    tensor = from_json("t", datatype, shape, data)
    assert tensor.values.tolist() == expected
    assert tensor.values.dtype == (object if datatype == "BYTES" else DTYPES[datatype])


def test_null_is_a_missing_number() -> None:
    assert np.isnan(from_json("t", "FP64", [2], b"[1, null]").values).tolist() == [False, True]


REFUSED_JSON = {
    "too few": ("FP64", [3], b"[1,2]"),
    "too many": ("FP64", [1], b"[1,2]"),
    "negative dimension": ("FP64", [-1], b"[1]"),
    "two negative dimensions": ("FP64", [-1, -1], b"[1]"),
    "overflowing dimensions": ("FP64", [2**62, 4], b"[1]"),
    "a huge dimension": ("BYTES", [2**70], b'["a"]'),
    "no elements": ("INT32", [0], b"[]"),
    "many lists of no elements": ("INT32", [3, 0], b"[[],[],[]]"),
    "a huge dimension beside 0": ("FP64", [0, 2**70], b"[]"),
    "overflowing dimensions beside 0": ("FP64", [0, 2**40, 2**40], b"[]"),
    "dimensions of too many digits to be shown": ("FP64", [-(10**4000), 10**4000], b"[1]"),
    "many dimensions": ("FP64", [1] * 33, b"[1]"),
    "unknown datatype": ("FLOAT", [1], b"[1]"),
    "datatype in small letters": ("fp64", [1], b"[1]"),
    "FP16": ("FP16", [1], b"[1]"),
    "NaN": ("FP64", [1], b"[NaN]"),
    "an infinite number": ("FP64", [1], b"[1e999]"),
    "beyond FP32": ("FP32", [1], b"[1e300]"),
    "ragged": ("FP64", [2, 2], b"[[1,2],[3]]"),
    "ragged texts": ("BYTES", [2, 2], b'[["a","b"],["c"]]'),
    "nested in another way": ("FP64", [2, 3], b"[[1,2],[3,4],[5,6]]"),
    "nested too deep": ("FP64", [2], b"[[1],[2]]"),
    "very deep": ("FP64", [1], b"[" * 100_000),
    "a scalar": ("FP64", [1], b"1"),
    "an object": ("FP64", [1], b'{"a":1}'),
    "null": ("FP64", [1], b"null"),
    "null in integers": ("INT32", [1], b"[null]"),
    "text in numbers": ("FP64", [1], b'["1"]'),
    "number in texts": ("BYTES", [1], b"[1]"),
    "number in truth values": ("BOOL", [1], b"[1]"),
    "fraction in integers": ("INT32", [1], b"[1.5]"),
    "beyond INT8": ("INT8", [1], b"[128]"),
    "beyond INT64": ("INT64", [1], b"[9223372036854775808]"),
    "beyond UINT64": ("UINT64", [1], b"[18446744073709551616]"),
    "negative unsigned": ("UINT8", [1], b"[-1]"),
    "negative beside a large unsigned": ("UINT64", [2], b"[18446744073709551615, -1]"),
    "half a surrogate pair": ("BYTES", [1], b'["\\ud800"]'),
}


@pytest.mark.parametrize("case", REFUSED_JSON)
def test_json_that_does_not_fit(case: str) -> None:
    with pytest.raises(BadRequestError, match=r"^tensor 't': "):
        from_json("t", *REFUSED_JSON[case])


def test_texts_in_binary() -> None:
    tensor = from_bytes("t", "BYTES", [3], memoryview(packed(b"a", b"", b"\xff\x00")))
    assert tensor.values.tolist() == [b"a", b"", b"\xff\x00"]
    assert to_bytes(tensor) == packed(b"a", b"", b"\xff\x00")
    with pytest.raises(BadRequestError, match="ask for it in binary"):
        to_json(tensor)


REFUSED_BINARY = {
    "too few bytes": ("FP64", [2], b"\0" * 15),
    "too many bytes": ("FP64", [2], b"\0" * 17),
    "no bytes": ("INT8", [1], b""),
    "overflowing dimensions": ("FP64", [2**61, 2**61], b"\0" * 8),
    "overflowing dimensions beside 0": ("FP64", [0, 2**61, 2**61], b""),
    "dimensions of too many digits to be shown": ("FP64", [10**4000, 10**4000], b"\0" * 8),
    "negative dimension": ("FP64", [-1], b"\0" * 8),
    "BOOL is a byte of 0 or 1": ("BOOL", [1], b"\2"),
    "BYTES that overrun": ("BYTES", [1], struct.pack("<I", 5) + b"abcd"),
    "BYTES that overrun by far": ("BYTES", [1], b"\xff\xff\xff\xff"),
    "BYTES with half a length": ("BYTES", [2], packed(b"a") + b"\1\0"),
    "too few BYTES": ("BYTES", [2], packed(b"a")),
    "too many BYTES": ("BYTES", [1], packed(b"a", b"b")),
    "as many BYTES as there are atoms": ("BYTES", [2**64], packed(b"a")),
}


@pytest.mark.parametrize("case", REFUSED_BINARY)
def test_binary_that_does_not_fit(case: str) -> None:
    datatype, shape, data = REFUSED_BINARY[case]
    with pytest.raises(BadRequestError, match=r"^tensor 't': "):
        from_bytes("t", datatype, shape, memoryview(data))


def test_a_name_is_shown_in_part() -> None:
    with pytest.raises(BadRequestError) as caught:
        from_json("n" * 10_000, "FP64", [1], b"[]")
    assert len(str(caught.value)) < 200


def test_answers_in_json() -> None:
    assert to_json(Tensor("t", "FP64", np.array([[1.5, 2], [3, 4]]))) == [1.5, 2.0, 3.0, 4.0]
    assert to_json(of_array("t", np.array(["a", None, float("nan"), 3], dtype=object))) == ["a", "", "", "3"]


def test_halves_are_answered_as_singles() -> None:
    assert of_array("t", np.array([0.5], np.float16)).datatype == "FP32"


def test_a_tensor_for_each_column() -> None:
    frame = pd.DataFrame(
        {
            "int": [1, 2],
            "float": [0.5, None],
            "bool": [True, False],
            "text": ["a", None],
            "date": pd.to_datetime(["2026-01-31", "NaT"]),
            "nullable": pd.array([1, None], dtype="Int64"),
            "whole": pd.array([1, 2], dtype="Int32"),
            "flags": pd.array([True, None], dtype="boolean"),
            "category": pd.Categorical(["x", "y"]),
            "numbers": pd.Categorical([7, 8]),
            "sparse": pd.arrays.SparseArray([0.0, 2.0]),
        }
    )
    found = {tensor.name: (tensor.datatype, to_json(tensor)) for tensor in tensors_of(frame)}
    nan = found["float"][1].pop()
    assert nan != nan
    assert found.pop("nullable")[0] == found.pop("flags")[0] == "FP64"
    assert found == {
        "int": ("INT64", [1, 2]),
        "float": ("FP64", [0.5]),
        "bool": ("BOOL", [True, False]),
        "text": ("BYTES", ["a", ""]),
        "date": ("BYTES", ["2026-01-31", ""]),
        "whole": ("INT32", [1, 2]),
        "category": ("BYTES", ["x", "y"]),
        "numbers": ("INT64", [7, 8]),
        "sparse": ("FP64", [0.0, 2.0]),
    }
    with pytest.raises(ValueError, match="same name"):
        tensors_of(pd.DataFrame([[1, 2]], columns=["a", "a"]))
