"""Batches answer with the bytes of single calls, or are refused (headers, types, rows)."""

from __future__ import annotations

import io
import logging
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drum_litestar.predictors.native.shortcuts.csv_parser import csv_parser
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply
from native_serving import csv_call, payload
from support.csv_corpus import AWKWARD_BATCHES, check_batch, difference

# Returns what it gets for each row: values, their types, and the types of all columns.
REPORTING_HOOK = """
import io
import zlib
import pandas as pd
calls = []
def load_model(code_dir): return calls
def score(data, model, **kwargs):
    model.append(len(data))
    again = pd.read_csv(io.BytesIO(kwargs["binary_data"]), skip_blank_lines=data.shape[1] != 1)
    assert len(again) == len(data)
    types = repr(list(data.dtypes)) + repr(list(data.columns))
    rows = [types + repr(list(data.iloc[row])) for row in range(len(data))]
    return pd.DataFrame({"Predictions": [zlib.crc32(row.encode()) / 7 for row in rows]})
"""
FOUND = csv_parser()
assert FOUND is not None
PARSE = FOUND
# fmt: off
NUMBERS = st.sampled_from([
    "0", "1", "-3", "2.5", "3.0", "1e3", "007", "", "NA", "inf", "nan", "-0", "+5", " 5", "5 ", "1e400", "1.", ".5",
    "0x10", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "9007199254740993",
])
QUOTED = st.sampled_from([
    '"x"', '"Braund, Mr. ""O"""', '"two\nlines"', '"cr\r\nlf"', '""', '"1"', '"1.5"', "x", "", "NA", 'a"b', '" "',
])
WORDS = st.sampled_from([
    "x", "two words", "True", "false", "TRUE", "1", "1.5", "", "NA", "é", "1_0", "nan", " y ", "+", " ", "1j",
    "2024-01-01", "9223372036854775808", "null", "-", "1e5x",
])
# fmt: on


def csv_texts(header: str, *columns: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Two to six bodies of up to three rows."""
    rows = st.lists(st.tuples(*columns).map(",".join), max_size=3)
    body = rows.map(lambda lines: "\n".join([header, *lines, ""]))
    return st.lists(body, min_size=2, max_size=6)


BODIES = st.one_of(
    csv_texts("a,b,c", NUMBERS, WORDS, NUMBERS),
    csv_texts("a", WORDS),
    csv_texts("a", NUMBERS),
    csv_texts('a,"b ""c"""', QUOTED, NUMBERS),
    csv_texts("a", QUOTED),
)


def bodies_of(replies: list[Reply] | None) -> list[bytes]:
    assert replies is not None
    return [reply.body for reply in replies]


@given(BODIES)
@settings(deadline=None, max_examples=200)
def test_a_merged_frame_equals_single_reads(texts: list[str]) -> None:
    """Columns, types and values of each part equal those of the body read alone."""
    check_batch(PARSE, [text.encode() for text in texts])


@pytest.mark.parametrize("bodies", AWKWARD_BATCHES)
def test_awkward_bodies(bodies: list[bytes]) -> None:
    check_batch(PARSE, bodies)


@pytest.fixture
def predictor(serve_folder: Any) -> Any:
    return serve_folder({"custom.py": REPORTING_HOOK})


@given(BODIES)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_replies_equal_those_of_single_calls(predictor: Any, texts: list[str]) -> None:
    calls = [csv_call(text) for text in texts]
    replies = predictor.handle_batch(calls)
    if replies is not None:
        assert bodies_of(replies) == [predictor.handle(call).body for call in calls]


MERGED = {
    "numbers and text": [f"a,b\n{number}.5,x\n" for number in range(8)],
    "whole floats and Windows' line ends": ["a,b\r\n1.5,2\r\n", "a,b\r\n3.0,2\r\n", "a,b\r\n4e0,2"],
    "blanks": ["a,b\n1.5,\n", "a,b\n,2.5\n3,\n", "a,b\nNA,1.0\n,nan\n"],
    "only blanks": ["a,b\n,x\n", "a,b\n1.5,x\n", "a,b\n1.0,x\n"],
    "text with blanks": ["a,b\nx,1\n,2\n", "a,b\ny,3\nNA,4\n", "a,b\ntwo words,5"],
    "numbers and dates as text": ["a\n2024-01-31\n", "a\n1x\n", "a\n1\nx\n", "a\n10:00\n"],
    "booleans": ["a,b\nTrue,1\n", "a,b\nfalse,2\nTRUE,3\n"],
    "quotes": ['a,b\n"Braund, Mr. ""O""",1\n', 'a,b\n"two\nlines",2\n"\r\n",3\n', "a,b\nplain,4\n", 'a,b\n"5th","6"'],
    "quoted header": ['"a","b\nc"\n1,x\n', '"a","b\nc"\n2,"y"\n'],
    "duplicate names": ["a,a,\n1,x,2\n", "a,a,\n3,y,4\n"],
    "large integers": ["a,b\n9223372036854775808,x\n", "a,b\n18446744073709551615,y\n"],
    "byte order marks": ["\ufeffa,b\n1,x\n", "\ufeffa,b\n2,y\n"],
    "rows that are too short": ["a,b,c\n1.5\n", "a,b,c\n2.5,,\n0.5,\n"],
    "blank lines": ["a,b\n1,x\n\n2,y\n", "a,b\n\n3,z\n  \n"],
    "a bit of everything": [
        'Age,Sex,Name,Fare,Cabin\n22.5,male,"Braund, Mr. Owen",7.25,A1\n',
        'Age,Sex,Name,Fare,Cabin\n38.0,female,"Cumings, ""Mrs""",71.2833,C85\n,male,"Moran, Mr. James",8.4583,\n',
        "Age,Sex,Name,Fare,Cabin\n26.5,female,Heikkinen,7.925,NA\n,,,1.0,E46\n",
        'Age,Sex,Name,Fare,Cabin\n35.0,female,"Futrelle,\nMrs",53.1,C123',
    ],
}
"""Bodies of the same types."""


@pytest.mark.parametrize("name", MERGED)
def test_bodies_of_equal_types_are_one_call_of_the_model(predictor: Any, name: str) -> None:
    calls = [csv_call(text) for text in MERGED[name]]
    replies = bodies_of(predictor.handle_batch(calls))
    (rows,) = predictor._loaded.model
    assert replies == [predictor.handle(call).body for call in calls]
    assert sum(predictor._loaded.model[1:]) == rows


def test_tables_with_blanks_of_several_types_are_grouped(predictor: Any) -> None:
    """Ages of whole numbers, ages with blanks, and cabins of which none is known."""
    rows = ["22,x,C85", "38,y,E46", "22,x,", "35,z,", ",x,", ",y,", "28,x,C85\n,,"]
    calls = [csv_call(f"Age,Name,Cabin\n{row}\n") for row in rows]
    replies = bodies_of(predictor.handle_batch(calls))
    assert sorted(predictor._loaded.model) == [2, 2, 2, 2]
    assert replies == [predictor.handle(call).body for call in calls]


KEEPING_HOOK = """
import pandas as pd
def load_model(code_dir): return []
def transform(data, model):
    data["c"] = data["b"].str.len()
    return data
def score(data, model, **kwargs):
    model.append((data, kwargs["binary_data"], kwargs["mimetype"], kwargs["charset"]))
    return pd.DataFrame({"Predictions": data["c"].fillna(-1.0)})
"""


def test_hooks_receive_the_rows_and_the_csv_of_all_calls(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": KEEPING_HOOK})
    texts = ['a,b\n1.5,"x, y"\n', "a,b\n,two\n0.5,three", 'a,b\n2.0,"li\nne"\r\n']
    calls = [ModelCall(kind="predict", x=payload(text, mimetype="text/csv", charset="utf-8")) for text in texts]
    replies = bodies_of(predictor.handle_batch(calls))
    assert replies == [b'{"predictions":[4.0]}', b'{"predictions":[3.0,5.0]}', b'{"predictions":[5.0]}']
    ((data, *rest),) = predictor._loaded.model
    assert rest == [b'a,b\n1.5,"x, y"\n,two\n0.5,three\n2.0,"li\nne"\r\n', "text/csv", "utf-8"]
    assert difference(data[["a", "b"]], pd.read_csv(io.BytesIO(rest[0]))) == ""
    assert replies == [predictor.handle(call).body for call in calls]


def test_bodies_of_different_types_are_grouped(predictor: Any) -> None:
    texts = ["a\n1\n", "a\n1.5\n", "a\n2\n", "a\n2.5\n", "a\nx\n", "b\n1\n"]
    calls = [csv_call(text) for text in texts]
    replies = bodies_of(predictor.handle_batch(calls))
    assert sorted(predictor._loaded.model) == [1, 1, 2, 2]
    assert replies == [predictor.handle(call).body for call in calls]


def test_an_invalid_call_fails_alone(predictor: Any) -> None:
    calls = [
        csv_call("a,b\n1,2\n"),
        csv_call("a,b\n3,4\n"),
        csv_call("a,b\n1,2,3,4\n5,6\n"),
        csv_call(b"a,b\n\xe9,2\n"),
        csv_call("", mimetype="text/csv"),
        csv_call("a,b\n1,2\n", mimetype="application/json"),
    ]
    replies = predictor.handle_batch(calls)
    if replies is not None:
        assert [reply.status for reply in replies] == [predictor.handle(call).status for call in calls]
    good = predictor.handle_batch(calls[:2])
    assert bodies_of(good) == [predictor.handle(call).body for call in calls[:2]]


@pytest.mark.parametrize(
    "calls",
    [
        [csv_call("a\n1\n"), csv_call("b\n1\n")],
        [csv_call("a\n1\n"), csv_call("a\n1\n", mimetype="text/plain")],
        [csv_call("a\n1\n"), ModelCall(kind="predict", x=payload("a\n1\n", mimetype="text/csv", charset="latin-1"))],
        [csv_call('"a"\n1\n'), csv_call("a\n2\n")],
        [csv_call('a,b\n1,"x\n'), csv_call('a,b\n2,"y\n')],
        [csv_call("a,b\nTrue,1\n,2\n"), csv_call("a,b\nFalse,3\n,4\n")],
        [csv_call("a,b\r1,2\r"), csv_call("a,b\r3,4\r")],
        [csv_call("a\n"), csv_call("a\n")],
        [csv_call("a,b\n1,2,3\n"), csv_call("a,b\n4,5,6\n")],
        [csv_call("a\n1\n\n2\n"), csv_call("a\n1\n\n2\n")],
        [csv_call("a\n1\n"), csv_call("a\n1.5\n")],
        [csv_call("a\n1\n", kind="chat"), csv_call("a\n1\n")],
        [ModelCall(kind="predict", x=Payload(path="/nowhere", size=3, mimetype="text/csv"))] * 2,
        [csv_call("%%MatrixMarket", mimetype="text/mtx")] * 2,
        [csv_call("a\n1\n")],
    ],
)
def test_calls_that_cannot_be_batched(predictor: Any, calls: list[ModelCall]) -> None:
    assert predictor.handle_batch(calls) is None


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("pd.DataFrame({'P': [1.0]})", "the model returned 1 predictions for 2 rows of batched requests"),
        ("pd.DataFrame({'Predictions': data.a, 'e': data.a})", "the model returns extra output"),
    ],
)
def test_batching_stops_for_models_that_do_not_work_row_by_row(
    serve_folder: Any, caplog: pytest.LogCaptureFixture, result: str, reason: str
) -> None:
    code = f"import pandas as pd\ndef load_model(d): return 1\ndef score(data, model, **kw): return {result}\n"
    caplog.set_level(logging.WARNING, "drum")
    predictor = serve_folder({"custom.py": code})
    calls = [csv_call("a\n1\n"), csv_call("a\n2\n")]
    assert predictor.handle_batch(calls) is None
    assert predictor.handle_batch(calls) is None
    assert [record.message for record in caplog.records] == [f"Micro-batching is off from now on: {reason}."]


def test_a_failed_batch_is_refused(predictor: Any) -> None:
    predictor._loaded.model = None  # makes the hook fail
    assert predictor.handle_batch([csv_call("a\n1\n"), csv_call("a\n2\n")]) is None
