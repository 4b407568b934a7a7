"""``/predictionsStream/`` (kind ``predict_stream``)."""

from __future__ import annotations

from typing import Any

import pytest

from drum_litestar.predictors.protocol import Reply, StreamReply
from native_serving import csv_call, summary

HOOK = """
closed = []
def load_model(code_dir):
    return closed
{define} predict_stream(data, model):
    try:
        if data.columns[0] == "first":
            raise ValueError("first")
        for value in data.iloc[:, 0]:
            yield f"{{value}}\\n"
        if data.columns[0] == "middle":
            raise ValueError("middle")
        yield b"\\xff"
    finally:
        closed.append(True)
"""


@pytest.fixture(params=["def", "async def"])
def predictor(request: pytest.FixtureRequest, serve_folder: Any) -> Any:
    code = HOOK.format(define=request.param) + "def score(data, model, **kw): return data\n"
    return serve_folder({"custom.py": code})


def test_chunks_are_not_collected(predictor: Any) -> None:
    answer = predictor.handle(csv_call("a\n1\n2\n", kind="predict_stream"))
    assert isinstance(answer, StreamReply)
    assert answer.head.headers == (("X-Streaming", "true"),)
    assert list(answer.chunks) == [b"1\n", b"2\n", b"\xff"]
    answer.close()
    assert predictor._loaded.model == [True]


def test_closing_the_stream_stops_the_hook(predictor: Any) -> None:
    answer = predictor.handle(csv_call("a\n1\n2\n", kind="predict_stream"))
    assert next(answer.chunks) == b"1\n"
    answer.close()
    assert predictor._loaded.model == [True]


def test_an_error_before_the_first_chunk_is_a_plain_reply(predictor: Any) -> None:
    answer = predictor.handle(csv_call("first\n1\n", kind="predict_stream"))
    assert isinstance(answer, Reply)
    assert answer.status == 500
    assert b"Model 'predict_stream' hook failed to make predictions. Exception: ValueError('first')" in answer.body


def test_an_error_in_mid_stream_truncates_the_answer(predictor: Any) -> None:
    answer = predictor.handle(csv_call("middle\n1\n", kind="predict_stream"))
    assert next(answer.chunks) == b"1\n"
    with pytest.raises(RuntimeError, match="middle"):
        next(answer.chunks)


def test_a_model_object_can_stream(serve_folder: Any) -> None:
    code = """
class Model:
    def predict_stream(self, data):
        return (str(value) for value in data.a)
def load_model(code_dir):
    return Model()
def score(data, model, **kw):
    return data
"""
    predictor = serve_folder({"custom.py": code})
    assert summary(predictor.handle(csv_call("a\n1\n2\n", kind="predict_stream")))[2] == b"12"


def test_without_a_streaming_hook_the_answer_is_whole(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": "def load_model(d): return 1\ndef score(data, model, **kw): return data\n"})
    answer = predictor.handle(csv_call("a\n1\n2\n", kind="predict_stream"))
    assert summary(answer) == (200, "application/json", b'{"predictions":[1.0,2.0]}', {"X-Streaming": "true"})
    assert predictor.handle(csv_call("", kind="predict_stream")).status == 422


def test_other_chunks_are_an_error(serve_folder: Any) -> None:
    code = "def load_model(d): return 1\ndef score(d, m, **k): return d\ndef predict_stream(d, m): return iter([5])\n"
    answer = serve_folder({"custom.py": code}).handle(csv_call("a\n1\n", kind="predict_stream"))
    with pytest.raises(RuntimeError, match="must yield str or bytes"):
        next(answer.chunks)
