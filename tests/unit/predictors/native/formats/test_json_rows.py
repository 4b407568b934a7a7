"""Rows in JSON become the frame of the CSV file with the same cells."""

from __future__ import annotations

import io
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drum_litestar.errors import UnprocessableError
from drum_litestar.predictors.native.formats import json_rows
from drum_litestar.predictors.native.formats.json_rows import csv_of_json
from drum_litestar.predictors.protocol import TargetType
from native_serving import csv_call, payload


def read(body: Any) -> pd.DataFrame:
    """The frame of ``body``, a value or JSON text."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return pd.read_csv(io.BytesIO(csv_of_json(text)), skip_blank_lines=False)


def of_csv(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text))


AS_CSV = {
    "rows": ([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], "a,b\n1,x\n2,y\n"),
    "missing keys": ([{"a": 1}, {"b": "y", "c": 2}, {"c": 3, "a": 4}], "a,b,c\n1,,\n,y,2\n4,,3\n"),
    "null": ([{"a": 1, "b": None}, {"a": None, "b": "y"}], "a,b\n1,\n,y\n"),
    "booleans": ([{"a": True}, {"a": False}], "a\nTrue\nFalse\n"),
    "booleans and null": ([{"a": True, "b": 1}, {"a": None, "b": 2}], "a,b\nTrue,1\n,2\n"),
    "digits of numbers": (b'[{"a": 0.1000000000000000055, "b": 1e3}, {"a": -0.0, "b": 7}]',
                          "a,b\n0.1000000000000000055,1e3\n-0.0,7\n"),
    "large numbers": (b'[{"a": 18446744073709551616, "b": 9223372036854775808}]',
                      "a,b\n18446744073709551616,9223372036854775808\n"),
    "a number of 5,000 digits": (b'[{"a": %s, "b": 1}]' % (b"9" * 5000), f"a,b\n{'9' * 5000},1\n"),
    "UTF-16": ('[{"a": "é"}]'.encode("utf-16"), "a\né\n"),
    "a byte order mark": (b'\xef\xbb\xbf[{"a": 1}]', "a\n1\n"),
    "no numbers": (b'[{"a": NaN, "b": Infinity}, {"a": 1, "b": -Infinity}]', "a,b\nNaN,Infinity\n1,-Infinity\n"),
    "texts of digits": ([{"a": "007"}, {"a": "1.5"}], "a\n007\n1.5\n"),
    "words for nothing": ([{"a": "NA", "b": ""}, {"a": "x", "b": "y"}], "a,b\nNA,\nx,y\n"),
    "beyond ASCII": ([{"é☃": "日本, \"x\"\nz"}], 'é☃\n"日本, ""x""\nz"\n'),
    "line breaks": ([{"a": "x\r\ny", "b": "p\rq"}], 'a,b\n"x\r\ny","p\rq"\n'),
    "split": ({"columns": ["a", "b"], "index": ["p", "q"], "data": [[1, "x"], [None, "y"]]}, "a,b\n1,x\n,y\n"),
    "split, the same name twice": ({"columns": ["a", "a"], "data": [[1, 2]]}, "a,a\n1,2\n"),
    "split, numbers for names": ({"columns": [0, 1], "data": [[1, 2]]}, "0,1\n1,2\n"),
    "split, no rows": ({"columns": ["a"], "data": []}, "a\n"),
    "columns": ({"a": [1, 2], "b": ["x", None]}, "a,b\n1,x\n2,\n"),
    "a column called data": ({"data": [1, 2]}, "data\n1\n2\n"),
    "instances": ({"instances": [{"a": 1}, {"a": 2}]}, "a\n1\n2\n"),
    "data": ({"data": [{"a": 1}]}, "a\n1\n"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "text"), AS_CSV.values(), ids=list(AS_CSV))
def test_the_frame_is_that_of_the_csv(body: Any, text: str) -> None:
    pd.testing.assert_frame_equal(read(body), of_csv(text), check_exact=True)


@pytest.mark.parametrize(("body", "text"), AS_CSV.values(), ids=list(AS_CSV))
def test_an_old_msgspec_does_without_its_decoder(body: Any, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's own interpreter may have 0.16."""
    monkeypatch.setattr(json_rows, "_decode", json_rows._standard)
    pd.testing.assert_frame_equal(read(body), of_csv(text), check_exact=True)


def test_a_null_in_a_single_column_is_a_row() -> None:
    pd.testing.assert_frame_equal(read([{"a": 1}, {"a": None}, {"a": 3}]), pd.DataFrame({"a": [1, None, 3]}))


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5),
)  # fmt: skip
TABLES = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1))


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_rows_equal_what_pandas_writes(table: list[list[Any]]) -> None:
    """All forms, compared with ``to_csv`` of the same cells."""
    names = [f"c{number}" for number in range(len(table[0]))]
    frame = pd.DataFrame(table, columns=names, dtype=object)
    expected = pd.read_csv(io.StringIO(frame.to_csv(index=False)), skip_blank_lines=False)
    for form in (frame.to_dict("records"), {"columns": names, "data": table}, frame.to_dict("list")):
        pd.testing.assert_frame_equal(read(form), expected, check_exact=True)


REFUSED = {
    "not JSON": (b'[{"a": 1},\n {"a" 2}]', "not JSON: Expecting ':' delimiter: line 2 column 7 (char 17)"),
    "nothing": (b" ", "not JSON: Expecting value: line 1 column 2 (char 1)"),
    "not UTF-8": (b'[{"a": "\xe9"}]', "not JSON: 'utf-8' codec can't decode byte 0xe9 in position 8"),
    "too deep": (b"[" * 200_000, "not JSON: "),
    "half a character": (b'[{"a": "\\ud800"}]', "not JSON: a text has half of a surrogate pair"),
    "no rows": (b"[]", "there are no rows; send a list of objects"),
    "no columns": (b"[{}, {}]", "the rows have no columns"),
    "a number": (b"3", "a number or text has no rows; send"),
    "null": (b"null", "null has no rows; send"),
    "true": (b"true", "true or false has no rows; send"),
    "an empty object": (b"{}", "an empty object has no rows; send"),
    "one row": (b'{"a": 1}', "column 'a' is a number or text, not a list; send"),
    "pandas' to_json without an orient": (b'{"a": {"0": 1}}', "column 'a' is an object, not a list; send"),
    "rows of values": (b'[{"a": 1}, [2]]', "row 2 is a list, not an object; send"),
    "a list in a cell": (b'[{"a": 1}, {"a": 1, "b": [2]}]', "row 2, column 'b' is a list; a cell is a number"),
    "an object in a cell": (b'{"a": [1, {"b": 2}]}', "row 2, column 'a' is an object; a cell is a number"),
    "a long name": (b'[{"%s": []}]' % (b"n" * 500), "row 1, column '" + "n" * 60 + "...' is a list"),
    "columns of other lengths": (b'{"a": [1], "b": []}', "the columns have different numbers of cells: 'a' 1, 'b' 0"),
    "split without names": (b'{"columns": [], "data": []}', '"columns" must be a list of names'),
    "split with a list for a name": (b'{"columns": [["a", "b"]], "data": []}', '"columns" must be a list of names'),
    "split with null for a name": (b'{"columns": [null], "data": []}', '"columns" must be a list of names'),
    "split with an object": (b'{"columns": ["a"], "data": {}}', '"data" must be a list of rows, not an empty object'),
    "split with a bare value": (b'{"columns": ["a"], "data": [[1], 2]}', '"data": row 2 is a number or text, not a'),
    "split with a short row": (b'{"columns": ["a", "b"], "data": [[1, 2], [3]]}', '"data": row 2 has 1 cells for 2'),
}  # fmt: skip


@pytest.mark.parametrize(("body", "text"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_read_is_named_with_its_place(body: bytes, text: str) -> None:
    with pytest.raises(UnprocessableError) as caught:
        csv_of_json(body)
    assert str(caught.value).startswith(f"JSON rows cannot be read: {text}")


SCORE = """
import io
import pandas as pd
def load_model(code_dir): return 1
def score(data, model, binary_data, mimetype, **kwargs):
    assert mimetype == "text/csv"
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(binary_data)), data)
    return pd.DataFrame({"Predictions": data["a"] * 2.0})
"""
READ = """
import pandas as pd
def load_model(code_dir): return 1
def read_input_data(data): return pd.DataFrame({"length": [len(data)]})
def score(data, model, mimetype, **kwargs):
    return pd.DataFrame({"Predictions": data["length"] + (mimetype == "application/json")})
"""


def test_hooks_get_the_csv(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": SCORE})
    for kind in ("predict", "predict_stream"):
        reply = predictor.handle(csv_call(b'[{"a": 1.5}, {"a": 2}]', mimetype="application/json", kind=kind))
        assert (reply.status, reply.body) == (200, b'{"predictions":[3.0,4.0]}')
    broken = predictor.handle(csv_call(b"[", mimetype="application/json"))
    assert (broken.status, broken.body[:47]) == (422, b'{"message":"ERROR: JSON rows cannot be read: no')


def test_read_input_data_gets_the_body_as_it_was_sent(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": READ})
    reply = predictor.handle(csv_call(b'{"any": []}', mimetype="application/json"))
    assert reply.body == b'{"predictions":[12.0]}'


def test_rows_in_json_are_not_merged(serve_folder: Any) -> None:
    """They are answered in a batch, too, if one hands them over."""
    code = (
        "def load_model(d): return 1\n"
        "def score(data, model, **kwargs): return data[['a']].set_axis(['Predictions'], axis=1)\n"
    )
    predictor = serve_folder({"custom.py": code})
    calls = [csv_call(b"a\n1\n"), csv_call(b'{"a": [5]}', mimetype="application/json"), csv_call(b"a\n2\n")]
    replies = predictor.handle_batch(calls)
    assert [reply.body for reply in replies] == [b'{"predictions":[%s]}' % n for n in (b"1.0", b"5.0", b"2.0")]


def test_a_transform(serve_folder: Any) -> None:
    code = "def load_model(d): return 1\ndef transform(data, model): return data\n"
    predictor = serve_folder({"custom.py": code}, TargetType.TRANSFORM)
    reply = predictor.handle(csv_call(b'[{"a": 1, "b": "x"}]', mimetype="application/json", kind="transform"))
    assert b"a,b\r\n1,x\r\n" in reply.body


def test_a_file_part_is_csv_whatever_its_name(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": SCORE.replace('== "text/csv"', "is None")})
    call = csv_call(b"a\n1\n")
    reply = predictor.handle(type(call)(kind="predict", x=payload(b"a\n1\n", filename="x.json")))
    assert reply.body == b'{"predictions":[2.0]}'
