"""pandas' parser without read_csv around it gives read_csv's frame, or leaves the body to it."""

from __future__ import annotations

import csv
import io
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pandas._libs.parsers import TextReader  # type: ignore[import-not-found]

from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.predictors.native.formats.inputs import read_frame
from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.native.shortcuts.csv_parser import csv_parser, has_blank_line
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
from http_serving import serving
from native_serving import csv_call, payload, summary
from parity.corpus import payloads
from support.csv_corpus import AWKWARD, COMMON, TOKENS, check, check_ownership, difference
from support.data import continuous_target, table
from support.wire import csv as csv_request
from support.wire import send

FOUND = csv_parser()
assert FOUND is not None
PARSE = FOUND
SMALL = [body for body in AWKWARD if len(body) < 1000]

INTEGERS = st.integers(-(2**70), 2**70) | st.integers(-9, 9) | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64])
FLOATS = st.floats() | st.floats(-1e3, 1e3) | st.sampled_from([-0.0, 5e-324, 2.2250738585072014e-308, 1e22, 2.0**53])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
WORDS = st.sampled_from(
    ["x", "male", "NA", "null", "True", "007", "Braund, Mr.", 'say "hi"', "two\nlines", " y ", "é", ""]
)
DATES = st.datetimes().map(str) | st.dates().map(str)
VALUES = [INTEGERS, FLOATS, st.booleans(), TEXT, WORDS, DATES, INTEGERS | FLOATS | WORDS]
NAMES = st.sampled_from(["a", "b", "a.1", "", " ", "é", "q,r", 'q"r', "1", "Unnamed: 0", "nan", "two\nlines"]) | TEXT
INDICES = [None, "", "id", "a"]


@st.composite
def written_frames(draw: st.DrawFn, values: Any = VALUES, names: Any = NAMES) -> bytes:
    """A frame of up to four columns, some values missing, as ``to_csv`` writes it."""
    width, rows = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    columns = []
    for _ in range(width):
        cells = draw(st.sampled_from(values))
        if draw(st.booleans()):
            cells = cells | st.none()
        columns.append(pd.Series(draw(st.lists(cells, min_size=rows, max_size=rows)), dtype=object))
    frame = pd.concat(columns, axis=1)
    frame.columns = pd.Index(draw(st.lists(names, min_size=width, max_size=width)), dtype=object)
    label = draw(st.sampled_from(INDICES))
    text: str = frame.to_csv(
        index=label is not None,
        index_label=label,
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator=draw(st.sampled_from(["\n", "\n", "\r\n", "\r"])),
    )
    return text.encode("utf-8-sig" if draw(st.booleans()) else "utf-8")


@given(written_frames())
@settings(max_examples=200, deadline=None)
def test_any_frame_that_pandas_writes(body: bytes) -> None:
    check(PARSE, body)


PLAIN_VALUES = [
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["True", "False"]),
    st.sampled_from(["x", "two words", '"Braund, Mr. ""O"""', '"two\nlines"', "C85", "2024-01-31"]),
]
PLAIN_ROWS = st.lists(st.tuples(*PLAIN_VALUES), min_size=1, max_size=6)


@given(PLAIN_ROWS, st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_plain_tables_are_accepted(rows: list[tuple[str, ...]], end: str, ended: bool) -> None:
    body = end.join(["a,b,c,d", *map(",".join, rows)]) + (end if ended else "")
    assert check(PARSE, body.encode())


@pytest.mark.parametrize("body", COMMON)
def test_common_bodies_are_accepted(body: bytes) -> None:
    assert check(PARSE, body)
    assert check(PARSE, body)  # the header is known


@given(st.lists(st.sampled_from(TOKENS), max_size=24).map(b"".join))
@settings(max_examples=200, deadline=None)
@example(b"")
def test_any_text(body: bytes) -> None:
    check(PARSE, body)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from(SMALL) | written_frames())
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        body = body[:start] + draw(st.sampled_from(TOKENS)) + body[start + draw(st.integers(0, 2)) :]
    return body


@given(damaged())
@settings(max_examples=200, deadline=None)
def test_damaged_tables(body: bytes) -> None:
    check(PARSE, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a,b\n",
        b"a,b\n\n \n",
        b"a,b\n1,2,3\n4,5,6\n",
        b"a,b\n1,2\n1,2,3\n",
        b'a,b\n"1,2\n',
        b"a,b\n\xff,2\n",
        b"\xff,b\n1,2\n",
        b"a,b\n1,2\n" * 2 + b"\xc3",
        b"a\n1\n\n2\n",
        b"a\n1\n ",
        b"\xef\xbb\xbf\na\n1\n",
        b"a,b\r1,2\r",
        b"a,b\r \r 1,2\n",
        b"a,b\n" + b"1,2\n" * 2**16,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_bodies_left_to_read_csv(body: bytes) -> None:
    assert PARSE(body) is None


@pytest.mark.parametrize(
    ("body", "blank"),
    [
        (b"a\n1\n2\n", False),
        (b"a\r\n1\r\n2", False),
        (b"a\r1\r", False),
        (b"a b\n \xc2\xa0\n1 \n", False),
        (b"a\n1\n\n", True),
        (b"\na\n", True),
        (b"a\n \t\n1\n", True),
        (b"a\n1\n ", True),
        (b"a\r\n\r\n1", True),
        (b"a\r\r1", True),
        (b"a\r 1", True),
        (b"\xef\xbb\xbf\na", True),
        (b"\xef\xbb\xbf \na", True),
    ],
)
def test_blank_lines_are_found(body: bytes, blank: bool) -> None:
    assert has_blank_line(body) is blank
    expected = pd.read_csv(io.BytesIO(body), skip_blank_lines=False)  # DRUM's answer for a single column
    for parse in (PARSE, None):
        assert difference(read_frame(payload(body), "text/csv", parse=parse), expected) == ""


def test_a_frame_owns_its_names_and_values() -> None:
    check_ownership(PARSE)


def test_values_can_be_written_into_as_those_of_read_csv() -> None:
    found = PARSE(b"a,b\n1.5,\n2.5,3\n")
    assert found is not None
    values = found.frame().to_numpy()
    values[np.isnan(values)] = 0.0
    assert values.tolist() == [[1.5, 0.0], [2.5, 3.0]]


def test_one_parser_in_many_threads() -> None:
    """More headers than are kept, the same ones at a time in all threads."""
    bodies = [f"c{number},d\n{number}.5,x{number}\n,7\n".encode() for number in range(150)]
    expected = [pd.read_csv(io.BytesIO(body)) for body in bodies]

    def read(_: int) -> list[str]:
        tables = [PARSE(body) for body in bodies]
        return [
            "refused" if found is None else difference(found.frame(), wanted)
            for found, wanted in zip(tables, expected, strict=True)
        ]

    with ThreadPoolExecutor(8) as pool:
        assert {text for texts in pool.map(read, range(8)) for text in texts} == {""}


class Misreading:
    """A parser of another pandas: its numbers are off by the last bit."""

    def __init__(self, source: Any, **options: Any) -> None:
        self._reader = TextReader(source, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def read(self, rows: int | None) -> dict[int, Any]:
        found = self._reader.read(rows).items()
        return {key: np.nextafter(array, 0) if array.dtype == float else array for key, array in found}


class Careless(Misreading):
    """One that makes columns of a file without rows."""

    def read(self, rows: int | None) -> dict[int, Any]:
        try:
            found: dict[int, Any] = self._reader.read(rows)
        except StopIteration:
            return {number: np.empty(0) for number in range(self.table_width)}
        return found


def without_an_option(source: Any, **options: Any) -> Any:
    options["na_fvalue"] = options.pop("na_fvalues")
    return TextReader(source, **options)


def parsers(reader: Any) -> ModuleType:
    """The module that has the parser, for those who import it from now on: read_csv has its own."""
    module = ModuleType("pandas._libs.parsers")
    if reader is not None:
        module.TextReader = reader  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        (None, "cannot import name 'TextReader'"),
        (without_an_option, "got an unexpected keyword argument 'na_fvalue'"),
        (Misreading, r"it reads b'a,b\n1,0.1\n2,123456789.12345678\n' in another way"),
        (Careless, "it reads a file that is not plain"),
    ],
)
def test_a_parser_that_misreads_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, make_folder: Any, reader: Any, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "pandas._libs.parsers", parsers(reader))
    caplog.set_level(logging.INFO, "drum")
    assert csv_parser() is None
    (line,) = caplog.messages
    assert line.startswith(f"CSV is read by read_csv alone: the parser of pandas {pd.__version__} cannot be used: ")
    assert reason in line

    folder = make_folder({"custom.py": DESCRIBING})
    answers = []
    for shortcuts in (True, False):
        spec = PredictorSpec(code_dir=str(folder), target_type=TargetType.REGRESSION, shortcuts=shortcuts)
        predictor = NativePredictor(spec)
        assert "CSV parser" not in predictor.load().description
        answers.append([summary(predictor.handle(csv_call(body))) for body in SMALL])
        predictor.close()
    assert answers[0] == answers[1]


DESCRIBING = """
import zlib
import pandas as pd
def load_model(code_dir): return 1
def score(data, model, **kwargs):
    seen = repr((list(data.columns), list(data.dtypes), data.to_numpy().tolist(), type(data.index)))
    return pd.DataFrame({"Predictions": [float(zlib.crc32(seen.encode()))] * len(data)})
"""


@pytest.mark.parametrize("files", ["framework", "hook"])
def test_payloads_good_and_bad_get_the_same_answers(files: str, make_folder: Any) -> None:
    """Status, headers and body, with shortcuts and without, of the requests that are sent to DRUM too."""
    from sklearn.linear_model import Ridge

    rows = table(20)
    model = Ridge().fit(rows, continuous_target(rows))
    folder = make_folder({"model.pkl": model} if files == "framework" else {"custom.py": DESCRIBING})
    requests = [*payloads("/predict/"), *(csv_request(body) for body in SMALL)]
    answers = []
    for shortcuts in (True, False):
        spec = PredictorSpec(code_dir=str(folder), target_type=TargetType.REGRESSION, shortcuts=shortcuts)
        with serving(InlineExecutor(partial(NativePredictor, spec))) as server:
            found = [send(server.port, request) for request in requests]
        answers.append([(each.status, each.header("content-type"), each.body) for each in found])
    for ours, plain, request in zip(*answers, requests, strict=True):
        assert ours == plain, request
    assert {status for status, _, _ in answers[0]} >= {200, 422, 500}
