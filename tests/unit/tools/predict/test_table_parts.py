from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drum_litestar.predictors.native.calls.score import answer_column_types
from drum_litestar.predictors.native.formats.inputs import read_frame
from drum_litestar.predictors.protocol import ModelCall, Payload
from drum_litestar.tools.predict import table_parts
from drum_litestar.tools.predict.part_types import ColumnTypes
from drum_litestar.tools.predict.table_parts import Part, UncuttableError, cut

PLAN = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def parts_of(path: Path, data: bytes, rows: int) -> list[Part]:
    path.write_bytes(data)
    return list(cut(path, rows))


def payload(data: bytes) -> Payload:
    return Payload(data=data, size=len(data), mimetype="text/csv")


def types_of(parts: list[Part]) -> ColumnTypes:
    types = ColumnTypes()
    for part in parts:
        types.add(json.loads(answer_column_types(ModelCall(kind="column_types", x=payload(part.data))).body))
    return types


def test_parts_are_the_bytes_of_the_file(tmp_path: Path) -> None:
    data = b'a,b\r\n1,"x\r\n""y"""\r\n2,z\r\n3,\r\n'
    parts = parts_of(tmp_path / "x.csv", data, 2)
    assert [part.data for part in parts] == [b'a,b\r\n1,"x\r\n""y"""\r\n2,z\r\n', b"a,b\r\n3,\r\n"]
    assert [(part.first, part.last) for part in parts] == [(1, 2), (3, 3)]
    assert parts[-1].end == len(data)


def test_rows_are_counted_exactly_also_within_and_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_parts, "BLOCK_ROWS", 4)
    data = b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(20))
    for rows in (1, 3, 4, 7, 20, 50):
        parts = parts_of(tmp_path / "x.csv", data, rows)
        assert [part.data.count(b"\n") - 1 for part in parts[:-1]] == [rows] * (len(parts) - 1)
        assert b"".join(part.data.partition(b"\n")[2] for part in parts) == data.partition(b"\n")[2]


def test_a_part_ends_early_when_its_bytes_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_parts, "LARGEST_PART", 10)
    monkeypatch.setattr(table_parts, "BLOCK_ROWS", 1)
    parts = parts_of(tmp_path / "x.csv", b"a,b\n" + b"12345,67\n" * 4, 100)
    assert [part.last - part.first + 1 for part in parts] == [2, 2]


def test_blank_lines_at_the_end_are_rows_of_a_single_column_only(tmp_path: Path) -> None:
    assert len(parts_of(tmp_path / "x.csv", b"a,b\n1,2\n\n \n", 1)) == 1
    assert len(parts_of(tmp_path / "x.csv", b"a,b\n1,2\n\n\n3,4\n", 1)) == 2
    assert len(parts_of(tmp_path / "x.csv", b"a\n1\n\n", 1)) == 2


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\na,b\n1,2\n", "first line is blank"),
        (b'"a,b\n1,2\n', "not closed"),
        (b"a,b\r1,2\r", "carriage returns"),
        (b"a,b\n1,x\ry\n", "carriage returns"),
        (b"a,b\n1,\0\n", "zero bytes"),
    ],
)
def test_what_cannot_be_cut(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(UncuttableError, match=why):
        parts_of(tmp_path / "x.csv", data, 10)


cells = st.one_of(
    st.none(),
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6),
    st.sampled_from(["", "NA", "x", "a,b", 'a"b', "two\nlines", "007", "true", "False", "2024-01-02", " "]),
)
columns_of_cells = st.integers(1, 25).flatmap(
    lambda rows: st.lists(st.lists(cells, min_size=rows, max_size=rows), min_size=2, max_size=4)
)
"""Columns whose values are of one kind, so that parts often agree, and of several."""
columns_of_one_kind = st.integers(1, 25).flatmap(
    lambda rows: st.lists(
        st.sampled_from(
            [
                st.integers(-(10**6), 10**6),
                st.one_of(st.none(), st.integers(0, 9)),
                st.one_of(st.integers(0, 9), st.floats(-1e6, 1e6)),
                st.one_of(st.none(), st.sampled_from(["x", "a,b", 'a"b', "two\nlines"])),
                st.booleans(),
            ]
        ).flatmap(lambda cell: st.lists(cell, min_size=rows, max_size=rows)),
        min_size=2,
        max_size=4,
    )
)


@PLAN
@given(columns=st.one_of(columns_of_one_kind, columns_of_cells), rows=st.integers(1, 12))
def test_parts_read_with_common_types_are_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, columns: list[list[object]], rows: int
) -> None:
    table: pd.DataFrame = pd.DataFrame({f"c{number}": values for number, values in enumerate(columns)}, dtype=object)
    data = table.to_csv(index=False, lineterminator="\n").encode()
    parts = parts_of(tmp_path_factory.mktemp("x") / "x.csv", data, rows)
    types = types_of(parts)
    whole = pd.read_csv(io.BytesIO(data))
    if types.problem(insist=False):
        return
    forced = types.forced()
    frames = [read_frame(payload(part.data), "text/csv", column_types=forced) for part in parts]
    for frame in frames:
        assert list(frame.dtypes) == list(whole.dtypes)
    together: pd.DataFrame = pd.concat(frames, ignore_index=True)
    pd.testing.assert_frame_equal(together, whole)


@pytest.mark.parametrize(
    ("rows", "problem", "forced"),
    [
        (["1", "2"], "", {}),
        (["1", "2.5"], "", {"b": "float64"}),
        (["1", ""], "", {"b": "float64"}),
        (["2.5", ""], "", {}),
        (["x", ""], "", {"b": "str"}),
        (["1", "x"], "column 'b' has numbers in some rows and text in others", {"b": "str"}),
        (["true", ""], "column 'b' has blanks in some rows and truth values in others", {}),
        (["true", "x"], "column 'b' has text in some rows and truth values in others", {"b": "str"}),
        (["18446744073709551615", "1"], "column 'b' has mixed numbers", {}),
    ],
)
def test_types_of_a_column(tmp_path: Path, rows: list[str], problem: str, forced: dict[str, str]) -> None:
    parts = parts_of(tmp_path / "x.csv", b"a,b\n" + b"".join(f"7,{row}\n".encode() for row in rows), 1)
    types = types_of(parts)
    assert types.problem(insist=False) == problem
    assert types.problem(insist=True) == ""
    assert types.forced() == forced


def test_lines_with_more_fields_than_the_header(tmp_path: Path) -> None:
    types = types_of(parts_of(tmp_path / "x.csv", b"a,b\n1,2\n1,2,3\n", 1))
    assert types.problem(insist=True) == "it has lines with more fields than its header"
