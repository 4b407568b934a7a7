"""The transform route: its multipart answer, sparse output, y, typeSchema (contract, 3.8, 4.11; section 8, Q-18)."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path

import pandas as pd

from support.cases import Case, Check, error, error_like, told
from support.data import csv_of, matrix_market, table
from support.wire import Answer, Part, Request, csv, form, post, upload

ROUTE = "/transform/"
PAIRS = table(4, ("a", "b"), seed=5)
MULTIPART = re.compile(r"multipart/form-data; boundary=([0-9a-f]{32})")
NO_DATA = error("Samples should be provided as:   - a csv or mtx under `X` form-data param key.  - binary data")
HOOK = "Model 'transform hook' failed to transform dataset. Exception: "


def section(name: str, content: bytes, *, file: bool = True) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"'
    if file:
        head += f'; filename="{name}"\r\nContent-Type: application/octet-stream'
    return head.encode() + b"\r\n\r\n" + content


def sections(answer: Answer) -> list[bytes]:
    """The parts of the answer, each from its first header to its content's end."""
    match = MULTIPART.fullmatch(answer.header("content-type") or "")
    assert match, answer.header("content-type")
    marker = b"--" + match[1].encode()
    first, *parts, last = (b"\r\n" + answer.body).split(b"\r\n" + marker)
    assert first == b""
    assert last == b"--\r\n"
    assert all(part.startswith(b"\r\n") for part in parts)
    return [part[2:] for part in parts]


def parts(*expected: bytes) -> Check:
    def check(answer: Answer, path: Path) -> None:
        assert sections(answer) == list(expected)

    return check


def dense(content: bytes, *more: bytes) -> Check:
    return parts(section("X.format", b"csv", file=False), section("X.transformed", content), *more)


def scaled(answer: Answer, path: Path) -> None:
    """The scikit-learn scaler's own numbers, at full precision, in columns 0 and 1."""
    expected = pd.DataFrame(pickle.loads((path / "model.pkl").read_bytes()).transform(PAIRS.to_numpy()))
    format_part, x = sections(answer)
    assert format_part == section("X.format", b"csv", file=False)
    content = x.split(b"\r\n\r\n", 1)[1]
    assert content == expected.to_csv(index=False, lineterminator="\r\n").encode().removesuffix(b"\r\n")


def sparse(names: bytes, values: list[list[float]]) -> Check:
    def check(answer: Answer, path: Path) -> None:
        from scipy.io import mmread

        format_part, x, colnames = sections(answer)
        assert format_part == section("X.format", b"sparse", file=False)
        assert colnames == section("X.colnames", names)
        matrix = x.split(b"\r\n\r\n", 1)[1]
        assert matrix.startswith(b"%%MatrixMarket matrix coordinate")
        assert mmread(io.BytesIO(matrix)).toarray().tolist() == values

    return check


def asks(expression: str, rows: int = 1) -> Request:
    return told(expression, rows, ROUTE)


def invalid(*texts: str) -> bytes:
    shown = "schema validation failed for output:\n " + repr(list(texts))
    return error(shown, is_schema_validation_error=True)


def with_y(x: bytes, y: Part) -> Request:
    return form([Part("X", x, "x.csv"), y], ROUTE)


Y = b"t\r\n1\r\n2\r\n"
SMALL = b"a,b\n1,x\n2,\n"
TRANSFORM = [
    Case("as it came", csv(SMALL, ROUTE), body=dense(b"a,b\r\n1,x\r\n2,")),
    Case("upload", upload(SMALL, target=ROUTE), body=dense(b"a,b\r\n1,x\r\n2,")),
    Case("without slash", csv(SMALL, "/transform"), body=dense(b"a,b\r\n1,x\r\n2,"), differs="Trailing slash"),
    Case("full precision", asks("pd.DataFrame({'p': [1/3]})"), body=dense(b"p\r\n0.3333333333333333")),
    Case("missing values", asks("pd.DataFrame({'p': [None, np.nan, 1.5]})", 3), body=dense(b'p\r\n""\r\n""\r\n1.5')),
    Case("quoting", asks("pd.DataFrame({'p,q': ['a\"b', 'c\\nd']})", 2), body=dense(b'"p,q"\r\n"a""b"\r\n"c\nd"')),
    Case("names become text", asks("pd.DataFrame({1: [1], ' b ': [2]})"), body=dense(b"1,b\r\n1,2")),
    Case("line break in a name", asks("pd.DataFrame({'a\\nb': [1]})"), body=dense(b"a\\nb\r\n1")),
    Case("beyond ASCII", asks("pd.DataFrame({'é': ['☃']})"), body=dense("é\r\n☃".encode())),
    Case("y is returned unchanged", with_y(SMALL, Part("y", Y, "y.csv")), body=dense(
        b"a,b\r\n1,x\r\n2,", section("y.format", b"csv", file=False), section("y.transformed", b"t\r\n1\r\n2"))),
    Case("empty y", with_y(SMALL, Part("y", b"", "y.csv")), body=dense(b"a,b\r\n1,x\r\n2,")),
    Case("y as a form field", with_y(SMALL, Part("y", Y, None)), body=dense(b"a,b\r\n1,x\r\n2,")),
    Case("sparse columns", asks("pd.DataFrame({'u': [0, 2.0], 'v': [1.0, 0]}).astype(pd.SparseDtype(float, 0))", 2),
         body=sparse(b"u\nv", [[0.0, 1.0], [2.0, 0.0]])),
    Case("sparse, symmetric", asks("pd.DataFrame({'u': [1.0, 5], 'v': [5.0, 0]}).astype(pd.SparseDtype(float, 0))", 2),
         body=sparse(b"u\nv", [[1.0, 5.0], [5.0, 0.0]])),
    Case("predict route", csv(SMALL), 422,
         error("This model has target type 'transform', use the /transform/ endpoint.")),
    Case("predict route without data", csv(b""), 422,
         error("This model has target type 'transform', use the /transform/ endpoint.")),
    Case("no data", csv(b"", ROUTE), 422, NO_DATA),
    Case("wrong part", form([Part("Z", SMALL, "x.csv")], ROUTE), 422, NO_DATA),
    Case("json rows", post(ROUTE, b'{"a": [1, 2], "b": ["x", null]}', "application/json"),
         body=dense(b"a,b\r\n1,x\r\n2,"), differs="Rows in JSON"),
    Case("json without rows", post(ROUTE, b"{}", "application/json"), 422,
         error_like("ERROR: JSON rows cannot be read: an empty object .*"), differs="Rows in JSON"),
    Case("empty file", upload(b"", target=ROUTE), 500, error("No columns to parse from file")),
    Case("raises", asks("fail(ValueError('x'))"), 500, error(HOOK + "ValueError('x')")),
    Case("returns a tuple", asks("(data, data)"), 500, error(HOOK + "DrumTransformException('Transformation of the "
         "target variable is not supported by DRUM.')")),
    Case("returns an array", asks("np.zeros((1, 1))"), 500,
         error("transform must return a dataframe, but received <class 'numpy.ndarray'>")),
    Case("other number of rows", asks("pd.DataFrame({'p': [1, 2]})"), 500,
         error("Transformation resulted in different number of rows than original data")),
    Case("blank name", asks("pd.DataFrame({'a': [1], ' ': [2]})"), 500, error(
        "Column name serialization check failed, deserializing column names resulted in 1, expected 2\n"
        "Ensure there are no column names made up entirely of whitespace")),
]  # fmt: skip

SCHEMA = [
    Case("allowed", asks("pd.DataFrame({'p': [1.5], 'q': ['word']})"), body=dense(b"p,q\r\n1.5,word")),
    Case("too many columns and missing values", asks("pd.DataFrame([[1.0, None, 2, 3]], columns=list('abcd'))"), 422,
         invalid("Incorrect number of columns. 4 received. However, the schema dictates that number of columns should "
                 "be NOT_GREATER_THAN 3",
                 "Output contains missing values, which the supplied task schema does not allow")),
    Case("sparse", asks("pd.DataFrame({'u': [1.0]}).astype(pd.SparseDtype(float, 0))"), 422,
         invalid("Sparse output data found, however value is set to NEVER, expecting dense")),
]  # fmt: skip

SCHEMA_NUM = [
    Case("numbers", asks("pd.DataFrame({'p': [1.5], 'q': [2]})"), body=dense(b"p,q\r\n1.5,2")),
    Case("words among numbers", asks("pd.DataFrame({'p': [1.5], 'q': ['word']})"), 422,
         error_like(r"ERROR: schema validation failed for output:\n \['Datatypes incorrect. Data has types: "
                    r"(CAT, NUM|NUM, CAT), but expected types to exactly match: NUM'\]")),
    Case("words only", asks("pd.DataFrame({'p': ['u'], 'q': ['v']})"), 422, error_like(
        r"ERROR: schema validation failed for output:\n \['Datatypes incorrect.*"), differs="Q-18"),
]  # fmt: skip

EACH = (b"u\n1\n2\n", b"u,total\r\n1,-1.0\r\n2,-1.0")

CASES = {
    "transform": TRANSFORM,
    "transform_schema": SCHEMA,
    "transform_schema_num": SCHEMA_NUM,
    "transform_y": [
        Case("without y", csv(EACH[0], ROUTE), body=dense(EACH[1])),
        Case("with y", with_y(EACH[0], Part("y", Y, "y.csv")), body=dense(
            b"u,total\r\n1,3.0\r\n2,3.0", section("y.format", b"csv", file=False),
            section("y.transformed", b"t\r\n1\r\n2"))),
        Case("ragged y", with_y(EACH[0], Part("y", b"a,b\n1,2\n1,2,3,4\n", "y.csv")), 500,
             error_like("ERROR: Pandas failed to read input binary data.*")),
    ],
    "transform_sklearn": [
        Case("scaled", csv(csv_of(PAIRS), ROUTE), body=scaled),
        Case("scaled, mtx", upload(matrix_market(PAIRS), "x.mtx", ROUTE), 500, error_like(
            "ERROR: Couldn't naively apply transformer: .*")),
        Case("other width", csv(b"a\n1\n", ROUTE), 500, error_like("ERROR: Couldn't naively apply transformer: .*")),
    ],
    "transform_onehot": [
        Case("sparse matrix", csv("v\na\nc\n", ROUTE), body=sparse(b"0\n1\n2", [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])),
    ],
    "task_transform": [
        Case("doubled", csv(b"a,b\n1,2\n", ROUTE), body=dense(b"a,b\r\n2,4")),
        Case("raises", csv(b"a\n-1\n", ROUTE), 500,
             error("Model 'transform' hook failed to transform dataset. Exception: ValueError('negative')")),
    ],
}  # fmt: skip
