"""How data comes in: forms, formats, bad input (contract, 3.5 and 4.9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.cases import Case, Check, error, error_like, pandas_json, predicts
from support.data import csv_of, matrix_market, table
from support.wire import BOUNDARY, Answer, Part, Request, csv, form, post, upload
from support.zoo.artifacts import expected_values

FRAME = table(3, seed=11)
DATA = csv_of(FRAME)
RECORDS = FRAME.to_dict("records")
PAIRS = table(4, ("a", "b"), seed=5)
MTX = matrix_market(PAIRS)
JSON_ROWS, CSV_ANSWER = "Rows in JSON", "Answers as CSV"
NO_DATA = error("Samples should be provided as:   - a csv or mtx under `X` form-data param key.  - binary data")
NOTHING_TO_PARSE = error("No columns to parse from file")
NOT_UTF8 = error("Supplied CSV input file encoding must be UTF-8.")


def unsupported(mimetype: str) -> Check:
    """DRUM's text; ours has a list of the accepted types beside it."""

    def check(answer: Answer, path: Path) -> None:
        assert answer.json()["message"] == (
            f"ERROR: payload format `{mimetype}` is not supported by predictor/transformer. Make DRUM support the "
            "format or implement `read_input_data` hook to read the data. "
        )

    return check


def refused_json(pattern: str) -> Check:
    return error_like(f"ERROR: JSON rows cannot be read: {pattern}")


def json_rows(value: Any, content_type: str = "application/json") -> Request:
    return post("/predict/", json.dumps(value), content_type)


def as_csv(answer: Answer, path: Path) -> None:
    """The numbers of the JSON answer, as a file."""
    numbers = json.loads(pandas_json(expected_values(path, FRAME)))["predictions"]
    assert answer.body.decode().splitlines() == ["Predictions", *map(str, numbers)]


def model_says(frame: Any = FRAME) -> Check:
    def values(path: Path) -> Any:
        return expected_values(path, frame)

    return predicts(values)


SAID = model_says()
PAIRS_SAID = model_says(PAIRS)
RAGGED = b"a,b\n1,2\n1,2,3,4\n"
DECLARED = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, content: bytes, filename: str | None, content_type: str | None = None) -> Part:
    return Part(name, content, filename, content_type)


REGRESSION = [
    Case("raw csv", csv(DATA), body=SAID),
    Case("raw csv, predictions", csv(DATA, "/predictions/"), body=SAID),
    Case("raw csv, invocations", csv(DATA, "/invocations"), body=SAID),
    Case("raw csv, predict without slash", csv(DATA, "/predict"), body=SAID, differs="Trailing slash"),
    Case("raw csv, invocations with slash", csv(DATA, "/invocations/"), body=SAID, differs="Trailing slash"),
    Case("raw csv, stream route", csv(DATA, "/predictionsStream/"), body=SAID, headers={"x-streaming": "true"},
         differs="our own routes"),
    Case("raw plain text", csv(DATA, content_type="text/plain"), body=SAID),
    Case("no content type", csv(DATA, content_type=None), body=SAID),
    Case("charset ignored", csv(DATA, content_type="text/csv; charset=latin-1"), body=SAID),
    Case("unknown charset ignored", csv(DATA, content_type="text/csv; charset=nope"), body=SAID),
    Case("broken charset quoting", csv(DATA, content_type='text/csv; charset="utf-8'), body=SAID),
    Case("query ignored", csv(DATA, "/predict/?a=b&X=1"), body=SAID),
    Case("byte order mark", csv(b"\xef\xbb\xbf" + DATA), body=SAID),
    Case("carriage returns", csv(DATA.replace(b"\n", b"\r\n")), body=SAID),
    Case("blank lines are skipped", csv(DATA.replace(b"\n", b"\n\n")), body=SAID),
    Case("columns in another order fail by name", csv(csv_of(FRAME[list(reversed(FRAME.columns))])), 500,
         error_like("ERROR: Failure when making predictions. Exception: ValueError\\(.*feature names.*")),
    Case("upload", upload(DATA), body=SAID),
    Case("upload to invocations", upload(DATA, target="/invocations"), body=SAID),
    Case("upload without a suffix", upload(DATA, "data"), body=SAID),
    Case("upload with an odd suffix", upload(DATA, "data.arrow"), body=SAID),
    Case("upload named .MTX is csv", upload(DATA, "data.MTX"), body=SAID),
    Case("upload with an empty file name", form([part("X", DATA, "")]), body=SAID),
    Case("upload, part type ignored", form([part("X", DATA, "x.csv", "application/json")]), body=SAID),
    Case("first X wins", form([part("X", DATA, "1.csv"), part("X", b"nope", "2.csv")]), body=SAID),
    Case("other parts ignored", form([part("z", b"1", None), part("X", DATA, "1.csv"), part("y", b"", "y.csv")]),
         body=SAID),
    Case("empty body", csv(b""), 422, NO_DATA),
    Case("empty body, no type", csv(b"", content_type=None), 422, NO_DATA),
    Case("wrong part name", form([part("data", DATA, "x.csv")]), 422, NO_DATA),
    Case("X as a form field", form([part("X", DATA, None)]), 422, NO_DATA),
    Case("both a field and a file", form([part("X", b"a,b", None), part("X", DATA, "x.csv")]), body=SAID),
    Case("urlencoded", csv(DATA, content_type="application/x-www-form-urlencoded"), 422, NO_DATA),
    Case("no parts", form([]), 422, NO_DATA),
    Case("json rows", json_rows(RECORDS), body=SAID, differs=JSON_ROWS),
    Case("json rows, odd spelling", json_rows(RECORDS, "Application/JSON; charset=utf-8"), body=SAID,
         differs=JSON_ROWS),
    Case("json rows, split", json_rows({"columns": list(FRAME), "index": [0, 1, 2], "data": FRAME.values.tolist()}),
         body=SAID, differs=JSON_ROWS),
    Case("json rows, columns", json_rows(FRAME.to_dict("list")), body=SAID, differs=JSON_ROWS),
    Case("json rows, instances", json_rows({"instances": RECORDS}), body=SAID, differs=JSON_ROWS),
    Case("json without rows", json_rows({}), 422, refused_json("an empty object has no rows; send .*"),
         differs=JSON_ROWS),
    Case("json with a nested value", json_rows([{"x0": 1}, {"x0": [2]}]), 422,
         refused_json("row 2, column 'x0' is a list; .*"), differs=JSON_ROWS),
    Case("broken json", csv(b'[{"x0": 1},\n{"x0" 2}]', content_type="application/json"), 422,
         refused_json(r"not JSON: Expecting ':' delimiter: line 2 column 7 \(char 18\)"), differs=JSON_ROWS),
    Case("csv for json", csv(DATA, content_type="application/json"), 422, refused_json("not JSON: .*"),
         differs=JSON_ROWS),
    Case("an uploaded file is csv, whatever its name", upload(json.dumps(RECORDS), "x.json"), 500, error_like(".*")),
    Case("answer as csv", csv(DATA).with_headers(("Accept", "text/csv")), body=as_csv,
         headers={"content-type": "text/csv; charset=utf-8"}, differs=CSV_ANSWER),
    Case("answer as csv, stream route", csv(DATA, "/predictionsStream/").with_headers(("Accept", "text/csv")),
         body=as_csv, headers={"content-type": "text/csv; charset=utf-8"}, differs=CSV_ANSWER),
    Case("any answer", csv(DATA).with_headers(("Accept", "*/*")), body=SAID),
    Case("csv is welcome, too", csv(DATA).with_headers(("Accept", "application/json, text/csv")), body=SAID),
    Case("upper case type", csv(DATA, content_type="TEXT/CSV"), 422, unsupported("TEXT/CSV")),
    Case("octets", csv(DATA, content_type="application/octet-stream"), 422, unsupported("application/octet-stream")),
    Case("csv for arrow", csv(DATA, content_type="application/vnd.apache.arrow.stream"), 422,
         error("An Arrow stream cannot be read: it does not begin like one"), differs="Rows in Arrow or Parquet"),
    Case("multipart without boundary", csv(DATA, content_type="multipart/form-data"), 422,
         unsupported("multipart/form-data")),
    Case("malformed content type", csv(DATA, content_type=";;;"), body=SAID),
    Case("empty file", upload(b""), 500, NOTHING_TO_PARSE),
    Case("blank lines only", csv(b"\n\n\n"), 500, NOTHING_TO_PARSE),
    Case("blank lines only, upload", upload(b"\n\n"), 500, NOTHING_TO_PARSE),
    Case("not UTF-8", csv(b"a,b\n\xe9\xff,2\n"), 500, NOT_UTF8),
    Case("not UTF-8, upload", upload("é,b\n1,2\n".encode("utf-16")), 500, NOT_UTF8),
    Case("ragged", csv(RAGGED), 500, error_like("ERROR: Pandas failed to read input binary data.*")),
    Case("ragged, payload not echoed", csv(RAGGED), 500, error_like(
        "(?!.*1,2,3,4)ERROR: Pandas failed to read input binary data.*"), differs="Q-8"),
    Case("header only", csv(DATA.splitlines()[0] + b"\n"), 500,
         error_like("ERROR: Failure when making predictions. Exception: ValueError\\(.*0 sample.*")),
    Case("header alone, as curl -d sends a file", csv(DATA.splitlines()[0]), 500, error_like(
        "ERROR: Failure when making predictions. Exception: ValueError\\(.*0 sample.*\\) The data has 0 rows, .*"
        "--data-binary.*"), differs="Data of one line"),
    Case("missing column", csv(csv_of(FRAME[FRAME.columns[:9]])), 500,
         error_like("ERROR: Failure when making predictions. Exception: ValueError\\(.*x9.*")),
    Case("text in a number", csv(DATA.replace(DATA.split(b"\n")[1].split(b",")[0], b"abc", 1)), 500,
         error_like("ERROR: Failure when making predictions. Exception: ValueError\\(.*abc.*")),
    Case("missing value", csv(DATA.replace(DATA.split(b"\n")[1].split(b",")[0], b"", 1)), 500,
         error_like("ERROR: Failure when making predictions. Exception: ValueError\\(.*NaN.*")),
    Case("nul bytes", csv(b"\x00\x00\x00"), 500, error_like("ERROR: .*")),
    Case("truncated upload", form([part("X", DATA, "x.csv")], closed=False), 422, NO_DATA),
    Case("wrong boundary", post("/predict/", b"--other\r\n\r\nx\r\n--other--\r\n", DECLARED), 422, NO_DATA),
    Case("garbage for a form", post("/predict/", b"\xff\xfe\x00garbage", DECLARED), 422, NO_DATA),
    Case("content encoding is not decoded", csv(DATA).with_headers(("Content-Encoding", "gzip")), body=SAID),
    Case("ten thousand rows", csv(csv_of(table(10_000, seed=13))), body=model_says(table(10_000, seed=13))),
    Case("ten thousand rows, upload", upload(csv_of(table(10_000, seed=13))), body=model_says(table(10_000, seed=13))),
    Case("large form field", form([part("note", b"x" * 600_000, None), part("X", DATA, "x.csv")]), 413,
         error_like("(ERROR: )?.*"), differs="Q-7"),
]  # fmt: skip

TWO = [
    Case("csv", csv(csv_of(PAIRS)), body=PAIRS_SAID),
    Case("raw mtx", csv(MTX, content_type="text/mtx"), body=PAIRS_SAID),
    Case("raw mtx with parameters", csv(MTX, content_type="text/mtx; charset=utf-8"), body=PAIRS_SAID),
    Case("mtx upload", upload(MTX, "x.mtx"), body=PAIRS_SAID),
    Case("mtx upload with names", upload(MTX, "x.mtx", colnames=b"a\nb\n"), body=PAIRS_SAID),
    Case("column names of csv ignored", upload(csv_of(PAIRS), colnames=b"only one"), body=PAIRS_SAID),
    Case("not mtx", csv(b"a,b\n1,2\n", content_type="text/mtx"), 500,
         error("Line 1: Not a Matrix Market file. Missing banner.")),
    Case("dense mtx", csv(b"%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n", content_type="text/mtx"), 500,
         error("'numpy.ndarray' object has no attribute 'tocsc'")),
    Case("too few names", upload(MTX, "x.mtx", colnames=b"a"), 500, error("Column length mismatch: 1 vs. 2")),
    Case("empty mtx", upload(b"", "x.mtx"), 500, error_like("ERROR: .*")),
]  # fmt: skip

CASES = {"regression": REGRESSION, "regression_two": TWO}
