"""The fast reader returns pandas' frame, or None."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from drum_litestar.predictors.native.shortcuts.plain_csv import MAX_BODY, read_plain

INTEGERS = st.integers(-(10**14), 10**14).map(str)
DECIMALS = st.decimals(-(10**6), 10**6, places=5, allow_nan=False).map(lambda value: f"{value:f}")
ODD = st.sampled_from(
    ["", "-", ".", "1.", ".5", "-.5", "-0", "-0.0", "007", "00.50", "1-2", "1.2.3", "--1", "1e5", "nan", "True", " 1"]
) | st.sampled_from(
    ["12345678901234567", "0.1234567890123456", "9007199254740993", '"1"', "+1", "x", "1_0", "\t1", "٣", "1;2"]
)


def expect(body: bytes) -> pd.DataFrame | None:
    try:
        return pd.read_csv(io.BytesIO(body))
    except ValueError:
        return None


def check(body: bytes) -> bool:
    """The reader accepted ``body``. Asserts that its frame is bit-identical to pandas'."""
    found = read_plain(body)
    if found is None:
        return False
    wanted = expect(body)
    assert wanted is not None
    assert_frame_equal(found.frame, wanted, check_exact=True)
    assert isinstance(found.frame.index, pd.RangeIndex)
    for name in wanted.columns:
        assert found.frame[name].to_numpy().tobytes() == wanted[name].to_numpy().tobytes()  # -0.0 is not 0.0
    return True


@given(st.lists(st.lists(INTEGERS | DECIMALS, min_size=3, max_size=3), min_size=1, max_size=6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_plain_numbers_are_accepted(rows: list[list[str]], crlf: bool) -> None:
    body = "\n".join(["a,b,c", *map(",".join, rows)]) + "\n"
    assert check((body.replace("\n", "\r\n") if crlf else body).encode()) == all(
        len(field) <= 15 for row in rows for field in row
    )


@given(st.lists(st.lists(INTEGERS | DECIMALS | ODD, min_size=1, max_size=4), min_size=1, max_size=5), st.booleans())
@settings(max_examples=300, deadline=None)
def test_accepted_bodies_equal_pandas(rows: list[list[str]], end: bool) -> None:
    check(("a,b,c\n" + "\n".join(map(",".join, rows)) + ("\n" if end else "")).encode())


@pytest.mark.parametrize(
    "header", ["a,a,a", ",b,", "a b, c ,d", "1,2,3", "\ufeffa,b,c", "é,ü,日本", "a\x0bb,c,d", "nan,inf,", "%s,%d,{}"]
)
def test_headers_are_named_as_pandas_names_them(header: str) -> None:
    body = f"{header}\n1,2.5,-3\n".encode()
    if check(body):
        assert check(f"{header}\n4,0.5,1\n".encode())  # the second time from the cache


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"a,b\n",
        b"a,b",
        b"\n1,2\n",
        b" \n1\n",
        b"a,b\n1,2\n\n3,4\n",
        b"a\n1\n\n",
        b"a,b\n1,2,3\n",
        b"a,b\n1\n",
        b"a,b\n1,2\n3\n",
        b"a,b\n1,2\r3,4\n",
        b'"a",b\n1,2\n',
        b"\xff,b\n1,2\n",
        b"a,b\n1,2\x00\n",
        b"a,b\n1,\xc2\xb2\n",
        b"a,b\n" + b"1,2\n" * MAX_BODY,
    ],
)
def test_bodies_left_to_pandas(body: bytes) -> None:
    assert read_plain(body) is None


def test_uniform_columns_give_the_same_types_row_by_row() -> None:
    assert read_plain(b"a,b\n1.5,2\n0.25,3\n").uniform  # type: ignore[union-attr]
    assert not read_plain(b"a,b\n1.5,2\n3,4\n").uniform  # type: ignore[union-attr]


def test_a_frame_owns_its_data_and_the_name_of_its_columns() -> None:
    first = read_plain(b"own_a,own_b\n1.5,2.5\n")
    assert first is not None
    first.frame.columns.name = "changed"
    first.frame.loc[0, "own_a"] = 9.0
    second = read_plain(b"own_a,own_b\n1.5,2.5\n")
    assert second is not None
    assert second.frame.columns.name is None
    assert second.frame.loc[0, "own_a"] == 1.5


def test_the_memory_layout_is_that_of_pandas() -> None:
    body = b"a,b,c\n1.5,2.5,3.5\n4.5,5.5,6.5\n"
    found, wanted = read_plain(body), expect(body)
    assert found is not None
    assert wanted is not None
    assert found.frame.to_numpy().strides == wanted.to_numpy().strides
    assert np.asarray(found.frame).flags.f_contiguous == np.asarray(wanted).flags.f_contiguous
