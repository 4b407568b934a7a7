"""Batches answer with the bytes of single calls, or are refused (headers, types, rows)."""

from __future__ import annotations

import io
import logging
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drum_litestar.predictors.native.formats.inputs import read_frame
from drum_litestar.predictors.native.shortcuts.csv_merge import merge_csv
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply
from native_serving import csv_call, payload

# Returns what it gets for each row: values, their types, and the types of all columns.
REPORTING_HOOK = """
import zlib
import pandas as pd
calls = []
def load_model(code_dir): return calls
def score(data, model, **kwargs):
    model.append(len(data))
    lines = kwargs["binary_data"].count(b"\\n")
    assert lines in (len(data), len(data) + 1)
    types = repr(list(data.dtypes)) + repr(list(data.columns))
    rows = [types + repr(list(data.iloc[row])) for row in range(len(data))]
    return pd.DataFrame({"Predictions": [zlib.crc32(row.encode()) / 7 for row in rows]})
"""
# fmt: off
NUMBERS = st.sampled_from([
    "0", "1", "-3", "2.5", "3.0", "1e3", "007", "", "NA", "inf", "nan", "-0", "+5", " 5", "5 ", "1e400", "1.", ".5",
    "0x10", "9223372036854775808", "-9223372036854775809", "18446744073709551616", "9007199254740993",
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


BODIES = st.one_of(csv_texts("a,b,c", NUMBERS, WORDS, NUMBERS), csv_texts("a", WORDS), csv_texts("a", NUMBERS))


def bodies_of(replies: list[Reply] | None) -> list[bytes]:
    assert replies is not None
    return [reply.body for reply in replies]


@given(BODIES)
@settings(deadline=None, max_examples=150)
def test_a_merged_frame_equals_single_reads(texts: list[str]) -> None:
    """Columns, types and values of each part equal those of the body read alone."""
    raw = [text.encode() for text in texts]
    seen: set[int] = set()
    for group in merge_csv(raw):
        start = 0
        for position, length in zip(group.positions, group.lengths, strict=True):
            part = group.frame.iloc[start : start + length].reset_index(drop=True)
            pd.testing.assert_frame_equal(part, read_frame(payload(raw[position]), None))
            start += length
            assert position not in seen
            seen.add(position)
        assert start == len(group.frame)
        pd.testing.assert_frame_equal(group.frame, pd.read_csv(io.BytesIO(group.data)))


@pytest.fixture
def predictor(serve_folder: Any) -> Any:
    return serve_folder({"custom.py": REPORTING_HOOK})


@given(BODIES)
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_replies_equal_those_of_single_calls(predictor: Any, texts: list[str]) -> None:
    calls = [csv_call(text) for text in texts]
    replies = predictor.handle_batch(calls)
    if replies is not None:
        assert bodies_of(replies) == [predictor.handle(call).body for call in calls]


def test_bodies_of_equal_types_are_one_call_of_the_model(predictor: Any) -> None:
    calls = [csv_call(f"a,b\n{number}.5,x\n") for number in range(8)]
    assert bodies_of(predictor.handle_batch(calls)) == [predictor.handle(call).body for call in calls]
    assert predictor._loaded.model[0] == 8


def test_whole_floats_and_windows_line_ends_merge(predictor: Any) -> None:
    calls = [csv_call("a,b\r\n1.5,2\r\n"), csv_call("a,b\r\n3.0,2\r\n"), csv_call("a,b\r\n4e0,2")]
    assert bodies_of(predictor.handle_batch(calls)) == [predictor.handle(call).body for call in calls]
    assert predictor._loaded.model[0] == 3


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
        [csv_call('"a"\n1\n'), csv_call('"a"\n2\n')],
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
    predictor = serve_folder({"custom.py": code})
    caplog.set_level(logging.WARNING, "drum")
    calls = [csv_call("a\n1\n"), csv_call("a\n2\n")]
    assert predictor.handle_batch(calls) is None
    assert predictor.handle_batch(calls) is None
    assert [record.message for record in caplog.records] == [f"Micro-batching is off from now on: {reason}."]


def test_a_failed_batch_is_refused(predictor: Any) -> None:
    predictor._loaded.model = None  # makes the hook fail
    assert predictor.handle_batch([csv_call("a\n1\n"), csv_call("a\n2\n")]) is None
