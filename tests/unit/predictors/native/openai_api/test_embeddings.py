"""Embeddings: what hooks return, both encodings, parameters, errors."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from drum_litestar.predictors.protocol import Reply, TargetType
from native_serving import openai_call, summary

HOOK = """
import asyncio
from types import SimpleNamespace

import numpy as np
import pandas as pd
from datarobot_drum import CustomHTTPError


def load_model(code_dir):
    return "the model"


async def slowly(items):
    for item in items:
        await asyncio.sleep(0)
        yield item


async def later(value):
    await asyncio.sleep(0)
    return value


def fail(error):
    raise error


def embed(embedding_create_params, model, headers):
    return eval(embedding_create_params["do"], {**globals(), "params": embedding_create_params, "model": model,
                                                "headers": headers})
"""
TWO = [[0.5, -1.0], [2.0, 3.0]]


@pytest.fixture
def predictor(serve_folder: Any) -> Any:
    return serve_folder({"custom.py": HOOK}, TargetType.TEXT_GENERATION, target_name="t")


def ask(predictor: Any, do: str, given: Any = ("a", "b"), **params: Any) -> Any:
    call = openai_call("embed", {"do": do, "input": given, **params}, headers=(("X-Own", "7"),))
    return predictor.handle(call)


def body_of(reply: Any) -> Any:
    assert isinstance(reply, Reply)
    assert (reply.status, reply.content_type) == (200, "application/json"), reply.body
    return json.loads(reply.body)


def vectors(reply: Any) -> Any:
    data = body_of(reply)["data"]
    assert [each["index"] for each in data] == list(range(len(data)))
    return [each["embedding"] for each in data]


def refused(reply: Any) -> tuple[str, str]:
    """The parameter and the text of OpenAI's error."""
    assert reply.status == 400, reply.body
    error = json.loads(reply.body)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", None)
    return error["param"], error["message"]


def test_the_answer(predictor: Any) -> None:
    assert body_of(ask(predictor, str(TWO), model="m1")) == {
        "object": "list",
        "model": "m1",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
            {"object": "embedding", "index": 1, "embedding": [2.0, 3.0]},
        ],
    }


@pytest.mark.parametrize(
    "do",
    [
        str(TWO),
        f"later({TWO})",
        f"iter({TWO})",
        f"slowly({TWO})",
        f"tuple(map(tuple, {TWO}))",
        f"np.array({TWO})",
        f"np.array({TWO}, dtype='float16')",
        f"[np.array(each, dtype='float32') for each in {TWO}]",
        f"(np.array(each) for each in {TWO})",
        f"pd.DataFrame({TWO})",
        f"pd.Series({TWO})",
        f"{{'data': [{{'embedding': {TWO[1]}, 'index': 1}}, {{'embedding': {TWO[0]}, 'index': 0}}]}}",
        f"{{'data': [{{'embedding': np.array(each)}} for each in {TWO}]}}",
        f"SimpleNamespace(object='list', data=[SimpleNamespace(embedding=each) for each in {TWO}])",
    ],
)
def test_vectors(predictor: Any, do: str) -> None:
    assert vectors(ask(predictor, do)) == TWO


def test_tensors(serve_folder: Any) -> None:
    pytest.importorskip("torch")
    code = (
        "import torch\ndef load_model(d): return 1\n"
        "def embed(params, model):\n"
        "    rows = torch.tensor([[0.5, -1.0], [2.0, 3.0]], requires_grad=True)\n"
        "    return {'whole': rows, 'rows': list(rows), 'small': rows.to(torch.bfloat16)}[params['do']]\n"
    )
    predictor = serve_folder({"custom.py": code})
    for do in ("whole", "rows", "small"):
        assert vectors(ask(predictor, do)) == TWO


def test_the_openai_packages_objects(serve_folder: Any) -> None:
    pytest.importorskip("openai")
    code = (
        "from openai.types import CreateEmbeddingResponse\ndef load_model(d): return 1\n"
        "def embed(params, model):\n"
        "    data = [{'object': 'embedding', 'index': 0, 'embedding': [1.0]}]\n"
        "    usage = {'prompt_tokens': 2, 'total_tokens': 2}\n"
        "    return CreateEmbeddingResponse(object='list', model='mm', data=data, usage=usage)\n"
    )
    body = body_of(ask(serve_folder({"custom.py": code}), "", "a"))
    assert (body["model"], body["usage"]) == ("mm", {"prompt_tokens": 2, "total_tokens": 2})
    assert body["data"][0]["embedding"] == [1.0]


def test_a_vector_alone(predictor: Any) -> None:
    for do in ("[1, 2]", "np.array([1, 2])", "iter([1, 2])", "[[1, 2]]"):
        assert vectors(ask(predictor, do, "a")) == [[1.0, 2.0]]


def test_base64(predictor: Any) -> None:
    (first, second) = vectors(ask(predictor, "[[0.1, -1], [2, 3]]", encoding_format="base64"))
    assert struct.unpack("<2f", base64.b64decode(first)) == pytest.approx((0.1, -1.0))
    assert struct.unpack("<2f", base64.b64decode(second)) == (2.0, 3.0)
    given = base64.b64encode(struct.pack("<2f", 0.5, 2.0)).decode()
    do = f"{{'data': [{{'embedding': {given!r}}}]}}"
    assert vectors(ask(predictor, do, "a", encoding_format="base64")) == [given]
    assert vectors(ask(predictor, do, "a", encoding_format="float")) == [[0.5, 2.0]]


def test_tokens_are_counted(predictor: Any) -> None:
    body = body_of(ask(predictor, "[[float(len(each))] for each in params['input']]", [[1, 2, 3], [4]]))
    assert [each["embedding"] for each in body["data"]] == [[3.0], [1.0]]
    assert body["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert vectors(ask(predictor, "[float(sum(params['input']))]", [1, 2])) == [[3.0]]


def test_what_the_hook_gets(predictor: Any) -> None:
    assert vectors(ask(predictor, "[len(model), int(headers['x-own']), params['own']]", "a", own=9)) == [
        [9.0, 7.0, 9.0]
    ]


def test_results_that_are_none(predictor: Any, caplog: pytest.LogCaptureFixture) -> None:
    for do, text in {
        "None": "embed() returned <class 'NoneType'>",
        "'text'": "embed() returned <class 'str'>",
        "7": "embed() returned <class 'int'>",
        "{'embeddings': []}": 'embed() returned a dict without a list "data"',
        "{'data': [[1.0], [2.0]]}": 'embed() returned an item of "data" without "embedding"',
        "[[1.0]]": "embed() returned 1 vectors for 2 inputs",
        "[1.0, 2.0]": "embed() returned 1 vectors for 2 inputs",
        "[[1.0], [1.0, 2.0]]": "embed() returned vectors of different lengths",
        "[['a'], ['b']]": "embed() returned a vector that is not a list of numbers",
        "[[True], [False]]": "embed() returned a vector that is not a list of numbers",
        "[[None], [1]]": "embed() returned a vector that is not a list of numbers",
        "[[], []]": "embed() returned a vector that is not a list of numbers",
        "[[[1.0]], [[1.0]]]": "embed() returned a vector that is not a list of numbers",
        "[[[1.0], [1.0, 2.0]]] * 2": "embed() returned a vector that is not a list of numbers",
        "[[1.0], [float('nan')]]": "embed() returned a vector with NaN or infinity",
        "['AAA', 'AAA']": "embed() returned a text that is no vector in base64",
    }.items():
        reply = ask(predictor, do)
        assert (reply.status, json.loads(reply.body)) == (500, {"message": f"ERROR: {text}"}), do
        assert caplog.messages[-1].startswith(f"{text} ("), "what to change is in the log"


def test_errors_of_the_hook(predictor: Any) -> None:
    assert summary(ask(predictor, "fail(ValueError('boo'))"))[::2] == (500, b'{"message":"ERROR: boo"}\n')
    assert summary(ask(predictor, "fail(CustomHTTPError('wait', 429))"))[::2] == (429, b'{"message":"wait"}\n')
    assert ask(predictor, "(fail(TypeError('boo')) for _ in 'ab')").body == b'{"message":"ERROR: boo"}\n'


@pytest.mark.parametrize(
    ("params", "param", "text"),
    [
        ({}, "input", "input is missing: it is a text, a list of texts, a list of tokens (integers) or"),
        ({"input": []}, "input", "input is of another form"),
        ({"input": [[]]}, "input", "input is of another form"),
        ({"input": [1.5]}, "input", "input is of another form"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", "encoding_format must be float or base64"),
        ({"input": "a", "dimensions": "2"}, "dimensions", "dimensions must be a positive integer"),
        ({"input": "a", "dimensions": 3, "do": "[1, 2]"}, "dimensions", "this model's embeddings have 2 dimensions"),
        (5, None, "the body must be a JSON object"),
    ],
)
def test_parameters(predictor: Any, params: Any, param: str | None, text: str) -> None:
    found, message = refused(predictor.handle(openai_call("embed", params)))
    assert found == param
    assert message.startswith(text)


def test_dimensions_that_fit(predictor: Any) -> None:
    assert vectors(ask(predictor, "[1.0] * params['dimensions']", "a", dimensions=3)) == [[1.0] * 3]


def test_a_model_without_the_hook(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": "def load_model(d): return 1\ndef score(data, model, **kw): return data\n"})
    reply = ask(predictor, "")
    assert reply.status == 404
    text = "ERROR: This model's embedding interface was called, but embed() is not implemented."
    assert json.loads(reply.body) == {"message": text}


def test_a_model_that_only_embeds(serve_folder: Any) -> None:
    """The hooks do not stand in the way of an artifact's framework; without one, they are enough."""
    linear = pytest.importorskip("sklearn.linear_model")
    code = "def embed(params, model): return [1.0]\n"
    beside = serve_folder({"custom.py": code, "m.pkl": linear.LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])})
    assert beside._card.info["predictor"] == "scikit-learn"
    assert vectors(ask(beside, "", "a")) == [[1.0]]
