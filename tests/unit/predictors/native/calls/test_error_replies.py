"""Errors of hooks, models and data become replies, and the next call works."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.predictors.native.calls.error_replies import error_reply
from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, TargetType
from drum_litestar.predictors.spec import PredictorSpec
from drum_litestar.tracebacks import format_exception
from native_serving import csv_call, payload

HOOKS = """
import os, sys
import pandas as pd
from datarobot_drum import CustomHTTPError

class HTTPException(Exception):
    code, description = 404, "gone"

HTTPException.__module__ = "werkzeug.exceptions"

class TooLarge(HTTPException):
    code = 413

class Redirect(HTTPException):
    code = 308

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")
    __repr__ = __str__

def load_model(code_dir):
    return 1

def score(data, model, **kwargs):
    what = data.columns[0]
    if what == "status":
        raise CustomHTTPError("mine", status_code=eval(str(data.iloc[0, 0])))
    if what == "raise":
        exec(data.iloc[0, 0], globals())
    print("hello from the hook")
    return pd.DataFrame({"Predictions": [1.0] * len(data)})
"""


@pytest.fixture
def predictor(serve_folder: Any) -> NativePredictor:
    served: NativePredictor = serve_folder({"custom.py": HOOKS})
    return served


def reply_to(predictor: NativePredictor, call: ModelCall) -> Reply:
    reply = predictor.handle(call)
    assert isinstance(reply, Reply)
    return reply


def answer(predictor: NativePredictor, body: str) -> Reply:
    reply = reply_to(predictor, csv_call(body))
    assert reply_to(predictor, csv_call("ok\n1\n")).body == b'{"predictions":[1.0]}', "the next request works"
    return reply


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("409", 409),
        ("200", 200),
        ("'404'", 404),
        ("'404 Not Found'", 404),
        ("__import__('http').HTTPStatus.CONFLICT", 409),
        ("999", 999),
        ("99", 500),
        ("101", 500),
        ("1000", 500),
        ("(None)", 500),
        ("'abc'", 500),
        ("''", 500),
    ],
)
def test_status_of_user_errors(predictor: NativePredictor, status: str, expected: int) -> None:
    reply = answer(predictor, f'status\n"{status}"\n')
    assert (reply.status, reply.body) == (expected, b'{"message":"mine"}\n')
    assert dict(reply.headers) == {"X-Drum-User-Http-Error": "true"}


@pytest.mark.parametrize("status", ["204", "304"])
def test_statuses_without_a_body(predictor: NativePredictor, status: str) -> None:
    reply = answer(predictor, f"status\n'{status}'\n")
    assert (reply.status, reply.body) == (int(status), b"")


@pytest.mark.parametrize(
    ("code", "status", "shown"),
    [
        ("sys.exit(3)", 500, "Exception: SystemExit(3)"),
        ("raise KeyboardInterrupt", 500, "Exception: KeyboardInterrupt()"),
        ("raise GeneratorExit", 500, "Exception: GeneratorExit()"),
        ("raise MemoryError", 500, "Exception: MemoryError()"),
        ("raise HTTPException", 404, "Exception: HTTPException()"),
        ("raise TooLarge", 413, "Exception: TooLarge()"),
        ("raise Redirect", 500, "Exception: Redirect()"),
        ("def deep(): deep()\\ndeep()", 500, "Exception: RecursionError("),
    ],
)
def test_exceptions_of_a_hook(predictor: NativePredictor, code: str, status: int, shown: str) -> None:
    reply = answer(predictor, 'raise\n"' + code.replace("\\n", "\n") + '"\n')
    assert reply.status == status
    message = json.loads(reply.body)["message"]
    assert message.startswith("ERROR: Model 'score' hook failed to make predictions. Exception: ")
    assert shown in message


def test_an_exception_without_text(predictor: NativePredictor) -> None:
    assert json.loads(answer(predictor, "raise\nraise Unprintable\n").body) == {"message": "ERROR: no text"}


def test_errors_are_logged_with_their_traceback(predictor: NativePredictor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "drum")
    predictor.handle(csv_call("raise\nraise ValueError('boom')\n"))
    record = caplog.records[-1]
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert "boom" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "body",
    [b"a,b\n1,2\n1,2,3,4\n", b"a\n\xe9\n", b"\n\n", b'a,b\n"x,1\n', b"\xff\xfea\x00"],
    ids=["ragged", "latin", "blank", "quote", "utf16"],
)
@pytest.mark.parametrize(("client_errors_4xx", "status"), [(False, 500), (True, 422)])
def test_data_that_cannot_be_read(serve_folder: Any, body: bytes, client_errors_4xx: bool, status: int) -> None:
    predictor = serve_folder({"custom.py": HOOKS}, client_errors_4xx=client_errors_4xx)
    reply = predictor.handle(csv_call(body))
    assert reply.status == status
    assert json.loads(reply.body)["message"].startswith("ERROR: ")


def test_a_ragged_row_is_named_but_the_payload_is_not_shown(predictor: NativePredictor) -> None:
    reply = reply_to(predictor, csv_call("secret,b\n1,2\n1,2,3,4\n"))
    assert b"secret" not in reply.body
    assert json.loads(reply.body)["message"] == (
        "ERROR: Pandas failed to read input binary data: Error tokenizing data. C error: Expected 2 fields in line 3, "
        "saw 4"
    )


@pytest.mark.parametrize(("client_errors_4xx", "status"), [(False, 500), (True, 422)])
def test_missing_columns(serve_folder: Any, client_errors_4xx: bool, status: int) -> None:
    pd = pytest.importorskip("pandas")
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LinearRegression().fit(pd.DataFrame({"a": [1, 2], "b": [3, 5]}), [1, 2])
    predictor = serve_folder({"model.pkl": model}, client_errors_4xx=client_errors_4xx)
    assert predictor.handle(csv_call("a\n1\n")).status == status
    assert predictor.handle(csv_call("a,b\nx,1\n")).status == 500, "nothing is missing: the model's own trouble"


def test_missing_scipy_names_the_pip_command(predictor: NativePredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    reply = reply_to(predictor, csv_call("%%MatrixMarket", mimetype="text/mtx"))
    assert reply.status == 501
    assert "pip install scipy" in json.loads(reply.body)["message"]


def test_a_predictor_that_is_not_loaded(tmp_path: Path) -> None:
    predictor = NativePredictor(PredictorSpec(code_dir=str(tmp_path)))
    reply = predictor.handle(csv_call("a\n1\n"))
    assert isinstance(reply, Reply)
    assert reply.status == 503
    assert predictor.handle_batch([csv_call("a\n1\n")]) is None
    predictor.close()


def test_a_spool_file_is_read_like_a_body_in_memory(predictor: NativePredictor, tmp_path: Path) -> None:
    for text in ("ok\n1\n2\n", "ok\n1\n\n2\n", "x,y\n1,2\n"):
        spool = tmp_path / "spool"
        spool.write_text(text, encoding="utf-8")
        spooled = Payload(path=str(spool), size=len(text), mimetype="text/csv")
        assert predictor.handle(ModelCall(kind="predict", x=spooled)) == predictor.handle(csv_call(text))


def test_calls_from_several_threads(predictor: NativePredictor) -> None:
    replies: dict[int, Any] = {}

    def work(number: int) -> None:
        replies[number] = [reply_to(predictor, csv_call("ok\n" + "1\n" * number)).body for _ in range(5)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, bodies in replies.items():
        assert [len(json.loads(body)["predictions"]) for body in bodies] == [number] * 5


def test_a_wrong_number_of_predictions_is_reported_once(serve_folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "import pandas as pd\n"
        "def load_model(d): return 1\n"
        "def score(data, model, **kw): return pd.DataFrame({'P': [1]})\n"
    )
    predictor = serve_folder({"custom.py": code})
    caplog.set_level(logging.WARNING, "drum")
    for _ in range(3):
        assert predictor.handle(csv_call("a\n1\n2\n")).body == b'{"predictions":[1.0]}'
    assert [record.message for record in caplog.records] == [
        "The model returned 1 predictions for 2 rows. This is reported once."
    ]


def test_raw_form_bodies_are_no_data(predictor: NativePredictor) -> None:
    call = ModelCall(kind="predict", x=payload("a=1", mimetype="application/x-www-form-urlencoded"))
    assert reply_to(predictor, call).status == 422
    assert reply_to(predictor, ModelCall(kind="predict")).status == 422


def test_error_reply_of_a_bare_bad_request() -> None:
    error = type("HTTPException", (Exception,), {"code": 400, "description": "br", "__module__": "werkzeug.exceptions"})
    assert error_reply(error()).body == b'{"error":"br"}\n'


def test_predict_call_of_a_transform_model(serve_folder: Any) -> None:
    predictor = serve_folder(
        {"custom.py": "def load_model(d): return 1\ndef transform(data, model): return data\n"}, TargetType.TRANSFORM
    )
    assert json.loads(predictor.handle(csv_call("a\n1\n")).body) == {
        "message": "ERROR: This model has target type 'transform', use the /transform/ endpoint."
    }


def test_a_hint_is_beside_the_body(serve_folder: Any) -> None:
    code = (
        "import pandas as pd\ndef load_model(d): return 1\n"
        "def score(data, model, **kw): return pd.DataFrame({'big dog': [0.5], 'cat': [0.5], 'why': ['x']})\n"
    )
    labels = {"positive_class_label": "big dgo", "negative_class_label": "cat"}
    reply = reply_to(serve_folder({"custom.py": code}, TargetType.BINARY, **labels), csv_call("a\n1\n"))
    assert json.loads(reply.body) == {"message": "ERROR: \"['big dgo'] not found in axis\""}
    assert reply.hint.startswith("the score hook returned the columns 'big dog', 'cat', 'why'; ")


def test_predictions_of_a_folder_that_only_chats(serve_folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    code = "def load_model(d): return 1\ndef chat(params, model): return 'Hello'\n"
    predictor = serve_folder({"custom.py": code}, TargetType.TEXT_GENERATION, target_name="completion")
    reply = reply_to(predictor, csv_call("promptText\nHello\n"))
    assert (reply.status, json.loads(reply.body)["message"]) == (
        500,
        "ERROR: Failure when making predictions. Exception: "
        "AttributeError(\"'NoneType' object has no attribute 'predict'\")",
    )
    assert "custom.py has no score hook; /predict/ needs one" in caplog.messages[-1]


@pytest.mark.parametrize("spooled", [False, True])
def test_gzip_without_its_header(
    serve_folder: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, spooled: bool
) -> None:
    body = gzip.compress(b"a\n1\n")
    call = csv_call(body)
    if spooled:
        (tmp_path / "body").write_bytes(body)
        call = ModelCall(kind="predict", x=Payload(path=str(tmp_path / "body"), size=len(body), mimetype="text/csv"))
    reply = reply_to(serve_folder({"custom.py": HOOKS}), call)
    assert json.loads(reply.body) == {"message": "ERROR: Supplied CSV input file encoding must be UTF-8."}
    assert reply.hint == "the body begins like gzip; send Content-Encoding: gzip"
    assert reply.hint in caplog.messages[-1]
    assert traceback_of(caplog.records[-1]) == ""


def test_the_byte_that_is_not_utf8(predictor: NativePredictor) -> None:
    assert "can't decode byte 0xe9 in position" in reply_to(predictor, csv_call(b"a\n\xe9\n")).hint


def traceback_of(record: logging.LogRecord) -> str:
    """As the server logs it."""
    assert record.exc_info is not None
    assert record.exc_info[1] is not None
    return format_exception(record.exc_info[1])
