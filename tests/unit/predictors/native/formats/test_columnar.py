"""Bodies in Arrow and Parquet: frames, predictions, answers and refusals."""

from __future__ import annotations

import decimal
import io
import json
import pickle
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drum_litestar.errors import BodyTooLargeError, UnprocessableError
from drum_litestar.media_types import ARROW_FILE, ARROW_STREAM, CSV, OLD_ARROW_STREAM, PARQUET, preferred
from drum_litestar.predictors.native.formats.columnar import ColumnarReader, pyarrow_problem
from drum_litestar.predictors.protocol import Payload, TargetType
from native_serving import csv_call, payload

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

LIMIT = 1 << 20


def stream(table: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def file(table: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


FORMS: list[tuple[str, Callable[[Any], bytes]]] = [
    (ARROW_STREAM, stream),
    (OLD_ARROW_STREAM, stream),
    (ARROW_STREAM, lambda table: stream(table, compression="zstd")),
    (ARROW_FILE, file),
    (PARQUET, parquet),
    (PARQUET.upper(), lambda table: parquet(table, use_dictionary=False)),
    (PARQUET, lambda table: parquet(table, use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})),
]
TABLE = pa.table(
    {
        "float": [0.5, None, 2.0],
        "int": [1, 2, 3],
        "blanks": [1, None, 3],
        "text": ["x", None, "é"],
        "a.b": pa.array(["p", "q", "r"], pa.large_string()),
        "category": pa.array(["u", "v", "u"]).dictionary_encode(),
        "moment": pa.array([0, 1, None], pa.timestamp("us", tz="UTC")),
        "day": pa.array([0, 1, 2], pa.date32()),
        "decimal": [decimal.Decimal("1.10"), None, decimal.Decimal("2")],
        "truth": [True, None, False],
        "nothing": pa.nulls(3),
        "bytes": [b"\xff", b"", None],
    }
)
TWICE = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
FRAME = pd.DataFrame(np.arange(40).reshape(10, 4) / 8, columns=list("abcd"))
ONE = pa.table({"a": [1.0]})


def read(body: bytes, mimetype: str, limit: int | None = LIMIT) -> pd.DataFrame:
    return ColumnarReader(limit).frame(payload(body), mimetype)


@pytest.mark.parametrize(("mimetype", "write"), FORMS)
def test_the_frame_is_that_of_pandas(mimetype: str, write: Callable[[Any], bytes], tmp_path: Path) -> None:
    body = write(TABLE)
    pd.testing.assert_frame_equal(read(body, mimetype), TABLE.to_pandas())
    (tmp_path / "spooled").write_bytes(body)
    spooled = Payload(path=str(tmp_path / "spooled"), size=len(body))
    pd.testing.assert_frame_equal(ColumnarReader(None).frame(spooled, mimetype), TABLE.to_pandas())
    assert len(read(write(TABLE.slice(0, 0)), mimetype)) == 0


def test_hooks_may_write_into_the_frame_and_its_rows_are_numbered() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "n": pd.array([1, None], "Int64")}, index=pd.Index([7, 8], name="id"))
    found = read(stream(pa.Table.from_pandas(frame)), ARROW_STREAM)
    found.loc[0, "a"] = 5.0
    found.loc[1, "n"] = 6
    assert found.to_dict("list") == {"a": [5.0, 2.0], "n": [1, 6]}
    assert (list(found.index), str(found["n"].dtype)) == ([0, 1], "Int64")


@pytest.mark.skipif(not hasattr(pa, "string_view"), reason="an older pyarrow")
def test_views() -> None:
    table = pa.table({"v": pa.array(["abc", None, "x" * 100] * 3, pa.string_view())})
    assert read(stream(table.slice(1)), ARROW_STREAM)["v"].dropna().tolist() == ["x" * 100, *["abc", "x" * 100] * 2]


@pytest.mark.parametrize(
    ("body", "mimetype", "problem"),
    [
        (stream(TABLE)[:-9], ARROW_STREAM, "Arrow stream cannot be read: it ends within a message"),
        (stream(TABLE)[:700], ARROW_STREAM, "Arrow stream cannot be read: it (ends|is damaged)"),
        (file(TABLE)[:-1], ARROW_FILE, "Arrow file cannot be read: it is damaged, or ends too early"),
        (parquet(TABLE)[:-9], PARQUET, "Parquet file cannot be read: Parquet magic bytes"),
        (parquet(TABLE)[:-4] + b"PARE", PARQUET, "Parquet file cannot be read"),
        (parquet(TABLE)[:-60] + b"\xff" * 52 + parquet(TABLE)[-8:], PARQUET, "Parquet file cannot be read"),
        (parquet(TABLE), ARROW_STREAM, "it begins like a Parquet file; send that as application/vnd.apache.parquet"),
        (b"a,b\n1,2\n", PARQUET, "it does not begin like one"),
        (stream(pa.table({})), ARROW_STREAM, "it has no columns"),
        (stream(TWICE), ARROW_STREAM, "it has two columns 'a'"),
        (parquet(TWICE), PARQUET, "it has two columns 'a'"),
        (stream(pa.table({"l": [[1]]})), ARROW_STREAM, "it has a nested column"),
        (parquet(pa.table({"l": [[1]]})), PARQUET, "column 'l' is of type 'list<"),
        (stream(pa.table([pa.array([1])] * 100_001, names=[str(n) for n in range(100_001)])), ARROW_STREAM,
         "it has 100001 columns, more than 100000"),
        (stream(pa.table({"s": ["abcd"]})).replace(b"\4\0\0\0abcd", b"\xff\xff\xff\x7fabcd"), ARROW_STREAM,
         "cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(body: bytes, mimetype: str, problem: str) -> None:
    with pytest.raises(UnprocessableError, match=problem):
        read(body, mimetype, None)


ZEROS = pa.table({"a": np.zeros(LIMIT)})
LONG = pa.table({"a": ["x" * 10_000] * 1000})
BOMBS = [
    (stream(ZEROS, compression="zstd"), ARROW_STREAM),
    (stream(pa.table({"a": pa.nulls(2_000_000_000)})), ARROW_STREAM),
    (parquet(ZEROS), PARQUET),
    (parquet(LONG), PARQUET),
    (parquet(LONG, use_dictionary=False, column_encoding={"a": "DELTA_BYTE_ARRAY"}), PARQUET),
]


@pytest.mark.parametrize(("body", "mimetype"), BOMBS)
def test_a_table_is_not_larger_than_a_body(body: bytes, mimetype: str) -> None:
    assert len(body) < LIMIT
    with pytest.raises(BodyTooLargeError, match=r"Table in the request body too large.*DRUM_FASTAPI_MAX_UPLOAD_SIZE"):
        read(body, mimetype)


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_damage_is_refused_and_nothing_else_happens(form: int) -> None:
    mimetype, write = FORMS[form]
    whole, rng = write(TABLE), random.Random(form)
    for _ in range(200):
        body = bytearray(whole)
        for _ in range(rng.choice((1, 4))):
            place = rng.randrange(8, len(body))
            body[place : place + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\0\0\0\0", rng.randbytes(1)))
        try:
            frame = read(bytes(body), mimetype)
        except (UnprocessableError, BodyTooLargeError):
            continue
        assert all(len(frame[name].tolist()) == len(frame) for name in frame)


@pytest.fixture
def predictor(serve_folder: Any) -> Any:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(FRAME + np.eye(10, 4), np.arange(10))
    return serve_folder({"model.pkl": pickle.dumps(model)})


@pytest.mark.parametrize(("mimetype", "write"), FORMS[:-1])
def test_the_same_predictions_as_for_csv(predictor: Any, mimetype: str, write: Callable[[Any], bytes]) -> None:
    expected = predictor.handle(csv_call(FRAME.to_csv(index=False)))
    assert expected.status == 200
    table = pa.Table.from_pandas(FRAME)
    assert predictor.handle(csv_call(write(table), mimetype=mimetype)).body == expected.body
    text = pa.table({**{name: table[name] for name in table.column_names}, "z": ["x"] * 10})
    wrong = predictor.handle(csv_call(write(text), mimetype=mimetype))
    assert (wrong.status, b"feature names" in wrong.body) == (500, True)


@pytest.mark.parametrize("fields", [{"filename": "x.arrow"}, {"filename": "x", "mimetype": ARROW_STREAM}])
def test_file_parts_are_recognised_by_name_or_type_and_content(predictor: Any, fields: Any) -> None:
    expected = predictor.handle(csv_call(FRAME.to_csv(index=False))).body
    for body in (stream(pa.Table.from_pandas(FRAME)), FRAME.to_csv(index=False).encode()):
        call = csv_call(body, mimetype=None)
        call = type(call)(kind="predict", x=payload(body, **fields))
        assert predictor.handle(call).body == expected


def test_an_answer_in_arrow(predictor: Any) -> None:
    call = csv_call(FRAME.to_csv(index=False), answer=ARROW_STREAM)
    reply = predictor.handle(call)
    assert reply.content_type == ARROW_STREAM
    table = pa.ipc.open_stream(reply.body).read_all()
    rounded = json.loads(predictor.handle(csv_call(FRAME.to_csv(index=False))).body)["predictions"]
    assert [round(each, 10) for each in table["Predictions"].to_pylist()] == pytest.approx(rounded)


def test_an_answer_with_extra_output(serve_folder: Any) -> None:
    code = (
        "import pandas as pd\n"
        "def load_model(code_dir): return 1\n"
        "def score(data, model, **kwargs):\n"
        "    assert kwargs['mimetype'].endswith('arrow.stream') and kwargs['binary_data'][:4] == b'\\xff' * 4\n"
        "    return pd.DataFrame({'no': [0.25], 'yes': [0.75], 'n': [1], 'mixed': [[1, 'x']], 't': ['é']})\n"
    )
    served = serve_folder({"custom.py": code}, TargetType.BINARY, positive_class_label="yes", negative_class_label="no")
    reply = served.handle(csv_call(stream(ONE), mimetype=ARROW_STREAM, answer=ARROW_STREAM))
    assert pa.ipc.open_stream(reply.body).read_all().to_pylist() == [
        {"no": 0.25, "yes": 0.75, "n": 1, "mixed": '[1, "x"]', "t": "é"}
    ]


def test_transforms(serve_folder: Any) -> None:
    code = "def load_model(code_dir): return 1\ndef transform(data, model): return data * 2\n"
    served = serve_folder({"custom.py": code}, TargetType.TRANSFORM)
    reply = served.handle(csv_call(stream(ONE), mimetype=ARROW_STREAM, kind="transform", answer=ARROW_STREAM))
    assert pa.ipc.open_stream(reply.body).read_all().to_pydict() == {"a": [2.0]}
    form = served.handle(csv_call(stream(ONE), mimetype=ARROW_STREAM, kind="transform"))
    assert b"a\r\n2.0" in form.body


def test_without_pyarrow(serve_folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code = "def load_model(code_dir): return 1\ndef score(data, model, **kwargs): return data\n"
    served = serve_folder({"custom.py": code})
    reply = served.handle(csv_call(stream(ONE), mimetype=ARROW_STREAM))
    assert reply.status == 415
    message = json.loads(reply.body)["message"]
    assert message.startswith("ERROR: A body in Arrow or Parquet needs the package 'pyarrow', which is not installed.")
    assert message.endswith("install pyarrow")


def test_an_old_pyarrow_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pyarrow_problem() == ""
    monkeypatch.setattr(pa, "__version__", "14.0.0")
    assert "needs pyarrow 14.0.1 or later; 14.0.0 is installed" in pyarrow_problem()


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", ""),
        ("*/*", ""),
        ("text/*", ""),
        ("application/json", ""),
        ("text/csv", CSV),
        ("TEXT/CSV; header=present", CSV),
        ("text/csv, */*", CSV),
        ("text/csv, */*;q=0.1", CSV),
        ("text/csv;q=0.5, */*", ""),
        ("text/csv, application/json", ""),
        ("application/json;q=0.5, text/csv;q=0.6", CSV),
        ("application/json;q=0.6, text/csv;q=0.5", ""),
        ("text/csv;q=0", ""),
        ("text/csv;q=x", ""),
        ("text/csv;q=2", ""),
        ("text/csv, application/*;q=0.9", CSV),
        (ARROW_STREAM, ARROW_STREAM),
        (f"text/csv, {ARROW_STREAM}", ARROW_STREAM),
        (f"text/csv, {ARROW_STREAM};q=0.9", CSV),
        (f"{ARROW_STREAM}, application/json", ""),
    ],
)
def test_which_answer_is_preferred(accept: str, answer: str) -> None:
    assert preferred(accept, (ARROW_STREAM, CSV)) == answer
