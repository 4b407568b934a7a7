"""V2 and V1 calls of loaded models: requests, answers, metadata, and what is refused."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drum_litestar.predictors.native.native_predictor import NativePredictor
from drum_litestar.predictors.protocol import ModelCall, Payload, StreamReply, TargetType, TensorInfo
from drum_litestar.predictors.spec import PredictorSpec
from native_serving import csv_call, payload, summary
from open_inference_requests import TEXT, ask, binary, fitted, request, tensor, values

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativePredictor]:
    folder = tmp_path_factory.mktemp("regression")
    (folder / "model.pkl").write_bytes(pickle.dumps(fitted()))
    predictor = NativePredictor(
        PredictorSpec(code_dir=str(folder), target_type=TargetType.REGRESSION, model_name="reg")
    )
    path = list(sys.path)
    predictor.load()
    yield predictor
    predictor.close()
    sys.path[:] = path


ROWS = [[1.0, 2.0], [3.0, 4.5]]


def test_a_matrix_and_columns_get_what_csv_gets(regression: Any) -> None:
    csv = regression.handle(csv_call("a,b\n1.0,2.0\n3.0,4.5\n"))
    status, answer = ask(regression, request(tensor("x", ROWS), id="id 1"))
    expected = values((status, answer))
    assert expected == pytest.approx(json.loads(csv.body)["predictions"], abs=1e-9)  # which has ten digits
    assert (status, answer) == (200, {
        "model_name": "reg",
        "id": "id 1",
        "outputs": [{"name": "predictions", "datatype": "FP64", "shape": [2], "data": expected}],
    })  # fmt: skip
    columns = request(tensor("b", [2.0, 4.5]), tensor("a", [[1.0], [3.0]]))
    assert values(ask(regression, columns)) == expected
    assert values(ask(regression, {**columns, "parameters": {"content_type": "pd"}})) == expected
    integers = request(tensor("a", [1, 3], datatype="INT64"), tensor("b", [2.0, 4.5]))
    assert values(ask(regression, integers)) == expected
    assert ask(regression, {"instances": ROWS}, "infer_v1") == (200, {"predictions": expected})
    assert ask(regression, {"instances": [{"a": 1, "b": 2}, {"b": 4.5, "a": 3}]}, "infer_v1")[1] == {
        "predictions": expected
    }


def test_binary_both_ways(regression: Any) -> None:
    expected = values(ask(regression, request(tensor("x", ROWS))))
    data = np.array(ROWS, dtype="<f4").tobytes()
    head = request(
        {"name": "x", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": len(data)}},
        parameters={"binary_data_output": True},
    )
    call = binary(head, data)
    reply = regression.handle(ModelCall(kind="infer", body=payload(call["body"]), json_size=call["json_size"]))
    status, media, body, headers = summary(reply)
    assert (status, media) == (200, "application/octet-stream")
    size = int(headers["Inference-Header-Content-Length"])
    assert json.loads(body[:size])["outputs"] == [
        {"name": "predictions", "datatype": "FP64", "shape": [2], "parameters": {"binary_data_size": 16}}
    ]
    assert np.frombuffer(body[size:]).tolist() == pytest.approx(expected)


def test_what_is_said_of_one_output_wins(regression: Any) -> None:
    asked = request(
        tensor("x", ROWS),
        parameters={"binary_data_output": True},
        outputs=[{"name": "predictions", "parameters": {"binary_data": False}}],
    )
    assert len(values(ask(regression, asked))) == 2


def test_a_body_without_json(serve_folder: Any) -> None:
    from sklearn.linear_model import LinearRegression

    predictor = serve_folder({"model.pkl": LinearRegression().fit([[1.0, 2], [3, 5], [0, 1]], [1, 2, 3.0])})
    raw = np.array([[1.0, 2], [3, 5], [0, 1]]).tobytes()
    reply = predictor.handle(ModelCall(kind="infer", body=payload(raw), json_size=0))
    size = int(dict(reply.headers)["Inference-Header-Content-Length"])
    assert np.frombuffer(reply.body[size:]) == pytest.approx([1, 2, 3])
    assert ask(predictor, raw[:-1], json_size=0)[0] == 400


def test_a_spooled_body_is_mapped(regression: Any, tmp_path: Any) -> None:
    file = tmp_path / "body"
    file.write_bytes(json.dumps(request(tensor("x", ROWS))).encode())
    body = Payload(path=str(file), size=file.stat().st_size)
    assert regression.handle(ModelCall(kind="infer", body=body)).status == 200


BINARY_X = {"name": "x", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}
BAD: dict[str, Any] = {
    "no JSON": b"a,b\n1,2\n",
    "an empty body": b"",
    "a list": [],
    "deep JSON": b"[" * 200_000,
    "deep parameters": b'{"inputs":[],"parameters":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "no inputs": {},
    "empty inputs": request(),
    "an input without a name": {"inputs": [{"datatype": "FP64", "shape": [1], "data": [1]}]},
    "an input without a shape": {"inputs": [{"name": "a", "datatype": "FP64", "data": [1]}]},
    "an input without data": {"inputs": [{"name": "a", "datatype": "FP64", "shape": [1]}]},
    "a shape of text": request(tensor("x", [1], shape=["1"])),  # type: ignore[list-item]
    "a number as id": request(tensor("x", ROWS), id=7),
    "the same name twice": request(tensor("a", [1]), tensor("a", [1])),
    "one of very many names twice": request(*[tensor(f"x{number}", [1]) for number in (*range(50_000), 49_999)]),
    "too many inputs": request(*[tensor(f"x{number}", [1]) for number in range(65_537)]),
    "texts for numbers": request(tensor("x", [["1", "two"]], datatype="BYTES")),
    "columns of several lengths": request(tensor("a", [1]), tensor("b", [1, 2])),
    "three dimensions": request(tensor("x", [[[1, 2]]])),
    "a matrix among others": request(tensor("x", ROWS), tensor("c", [1, 2])),
    "no rows": request(tensor("x", [], shape=[0, 2])),
    "no columns": request(tensor("x", [], shape=[2, 0])),
    "a scalar": request(tensor("x", [1], shape=[])),
    "a missing column": request(tensor("a", [1.0])),
    "one column more": request(tensor("a", [1.0]), tensor("b", [1.0]), tensor("c", [1.0])),
    "three columns instead of two": request(tensor("x", [[1, 2, 3]])),
    "an unknown output": request(tensor("x", ROWS), outputs=[{"name": "y"}]),
    "an output twice": request(tensor("x", ROWS), outputs=[{"name": "predictions"}, {"name": "predictions"}]),
    "classification": request(
        tensor("x", ROWS), outputs=[{"name": "predictions", "parameters": {"classification": 1}}]
    ),
    "shared memory": request(tensor("x", ROWS, parameters={"shared_memory_region": "r"})),
    "binary_data that is no truth value": request(
        tensor("x", ROWS), outputs=[{"name": "predictions", "parameters": {"binary_data": "yes"}}]
    ),
    "binary data without the header": request(BINARY_X),
    "a negative binary size": binary(request({**BINARY_X, "parameters": {"binary_data_size": -16}}), b"\0" * 16),
    "a binary size of true": binary(request({**BINARY_X, "parameters": {"binary_data_size": True}}), b"\0"),
    "a binary size beyond the body": binary(
        request({**BINARY_X, "parameters": {"binary_data_size": 2**62}}), b"\0" * 16
    ),
    "a binary size that lies": binary(request({**BINARY_X, "parameters": {"binary_data_size": 8}}), b"\0" * 8),
    "more bytes than inputs": binary(request(BINARY_X), b"\0" * 24),
    "data and a binary size": binary(request({**BINARY_X, "data": [1, 2]}), b"\0" * 16),
    "a header beyond the body": {"body": b"{}", "json_size": 3},
    "a header in the middle of the JSON": {"body": json.dumps(request(tensor("x", ROWS))).encode(), "json_size": 5},
    "texts for numbers that are no UTF-8": binary(
        request({"name": "a", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}),
        b"\1\0\0\0\xff",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_requests(regression: Any, case: str) -> None:
    body = BAD[case]
    fields = {}
    if isinstance(body, dict) and "json_size" in body:
        body, fields = body["body"], {"json_size": body["json_size"]}
    status, answer = ask(regression, body, **fields)
    assert (status, list(answer)) == (400, ["error"])
    assert len(answer["error"]) < 500
    assert ask(regression, request(tensor("x", ROWS)))[0] == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[1]", b'{"instances":[]}', b'{"instances":1}', b'{"instances":[[1],[1,2]]}', b'{"instances":[[1]]}',
     b'{"instances":[{"a":1}]}', b'{"instances":[1,2]}', b'{"instances":' + b"[" * 100_000],
)  # fmt: skip
def test_bad_instances(regression: Any, body: bytes) -> None:
    status, answer = ask(regression, body, "infer_v1")
    assert (status, list(answer)) == (400, ["error"])


def test_labels_order_the_columns(serve_folder: Any) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(pd.DataFrame({"a": [0.0, 1, 2, 3]}), ["a", "b", "c", "c"])
    predictor = serve_folder({"model.pkl": model}, TargetType.MULTICLASS, class_labels=("c", "a", "b"))
    assert predictor._card.inference.outputs == (TensorInfo("predictions", "FP64", (-1, 3), ("c", "a", "b")),)
    status, answer = ask(predictor, request(tensor("a", [2.5, 0.0])))
    assert status == 200
    by_label = json.loads(predictor.handle(csv_call("a\n2.5\n0.0\n")).body)["predictions"]
    assert answer["outputs"][0]["shape"] == [2, 3]
    expected = [row[label] for row in by_label for label in "cab"]
    assert answer["outputs"][0]["data"] == pytest.approx(expected, abs=1e-9)
    nested = ask(predictor, {"instances": [2.5, 0.0]}, "infer_v1")[1]["predictions"]
    assert [share for row in nested for share in row] == answer["outputs"][0]["data"]


SEEN = """
import pandas as pd

def load_model(code_dir):
    return 1

def score(data, model, **kwargs):
    kinds = ",".join(f"{name} {kind}" for name, kind in data.dtypes.items())
    data.loc[0, data.columns[0]] = data.iloc[0, 0]  # frames can be written to
    return pd.DataFrame({"Predictions": [len(data.columns)] * len(data), "kinds": kinds, "type": kwargs["mimetype"]})
"""


def test_hooks_get_the_frame_that_csv_gives(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": SEEN})
    assert predictor._card.inference.inputs == ()
    csv = json.loads(predictor.handle(csv_call("n,i,t,m,f\n0.5,1,x,,true\n1.5,2,,,false\n")).body)
    kinds = csv["extraModelOutput"]["data"][0][csv["extraModelOutput"]["columns"].index("kinds")]
    status, answer = ask(predictor, request(
        tensor("n", [0.5, 1.5]), tensor("i", [1, 2], datatype="INT64"), tensor("t", ["x", None], [2], "BYTES"),
        tensor("m", [None, None], [2], "BYTES"), tensor("f", [True, False], datatype="BOOL"),
    ))  # fmt: skip
    assert status == 200
    found = {each["name"]: each["data"][0] for each in answer["outputs"]}
    assert found == {
        "predictions": 5.0,
        "kinds": kinds,
        "type": "application/json",
    }
    assert found["kinds"].startswith("n float64,i int64,t ")
    assert found["kinds"].endswith("m float64,f bool")


READER = """
import io
import pandas as pd

def load_model(code_dir):
    return 1

def read_input_data(input_binary_data):
    return pd.read_csv(io.BytesIO(input_binary_data)) * 2

def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["a"]})
"""


def test_a_reading_hook_gets_csv(serve_folder: Any) -> None:
    assert values(ask(serve_folder({"custom.py": READER}), request(tensor("a", [1.5, 2])))) == [3.0, 4.0]


FAILING = """
def load_model(code_dir):
    return 1

def score(data, model, **kwargs):
    if data["a"].iloc[0] == 1:
        raise SystemExit(3)
    raise ValueError("no")
"""


@pytest.mark.parametrize(("cell", "text"), [(1, "SystemExit(3)"), (2, "no")])
def test_errors_of_hooks(serve_folder: Any, cell: int, text: str) -> None:
    status, answer = ask(serve_folder({"custom.py": FAILING}), request(tensor("a", [cell])))
    assert status == 500
    assert list(answer) == ["error"]
    assert text in answer["error"]


ECHO = """
def load_model(code_dir):
    return 1

def score_unstructured(model, data, query, **kwargs):
    return data if "mimetype" not in query else kwargs["mimetype"] + " " + type(data).__name__
"""


def test_unstructured(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": ECHO}, TargetType.UNSTRUCTURED)
    assert values(ask(predictor, request(tensor("any", ["héllo"], [1], "BYTES")))) == ["héllo"]
    asked = {"query": (("mimetype", "1"),)}
    for element, kind in ((b"text", "text/plain str"), (b"\xff", "application/octet-stream bytes")):
        head = {"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 4 + len(element)}}
        call = binary(request(head), len(element).to_bytes(4, "little") + element)
        assert values(ask(predictor, call["body"], json_size=call["json_size"], **asked)) == [kind]
    said = tensor("x", ["{}"], [1], "BYTES", parameters={"content_type": "application/json"})
    assert values(ask(predictor, request(said), **asked)) == ["application/json str"]
    reply = predictor.handle(ModelCall(kind="infer", body=payload(b"\xff\x00"), json_size=0))
    assert reply.body.endswith(b"\2\0\0\0\xff\x00")
    assert ask(predictor, {"instances": ["a", {"b": 1}]}, "infer_v1")[1] == {"predictions": ["a", '{"b": 1}']}
    for wrong in (tensor("x", ["a", "b"], [2], "BYTES"), tensor("x", [1])):
        assert ask(predictor, request(wrong))[0] == 400


TRANSFORM = """
def load_model(code_dir):
    return 1

def transform(data, model):
    return data.assign(sum=data["a"] + data["b"], text="x")
"""


def test_transform(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": TRANSFORM}, TargetType.TRANSFORM)
    assert predictor._card.inference.outputs == ()
    asked = request(tensor("a", [1, 2], datatype="INT64"), tensor("b", [0.5, 1]))
    status, answer = ask(predictor, asked)
    assert status == 200
    assert [(each["name"], each["datatype"], each["data"]) for each in answer["outputs"]] == [
        ("a", "INT64", [1, 2]),
        ("b", "FP64", [0.5, 1.0]),
        ("sum", "FP64", [1.5, 3.0]),
        ("text", "BYTES", ["x", "x"]),
    ]
    assert [each["name"] for each in ask(predictor, {**asked, "outputs": [{"name": "text"}]})[1]["outputs"]] == ["text"]
    rows = ask(predictor, {"instances": [{"a": 1, "b": 0.5}]}, "infer_v1")
    assert rows == (200, {"predictions": [{"a": 1, "b": 0.5, "sum": 1.5, "text": "x"}]})


STREAM = """
def predict_stream(data, model):
    yield data["promptText"].iloc[0]
    yield "\\u20ac".encode()[:1]
    yield "\\u20ac".encode()[1:]
"""


def test_text(serve_folder: Any) -> None:
    predictor = serve_folder({"custom.py": TEXT}, TargetType.TEXT_GENERATION, target_name="answer", model_name="llm")
    assert values(ask(predictor, request(tensor("promptText", ["a", "b"], [2], "BYTES")))) == ["A", "B"]
    asked = {"id": "1", "text_input": "hi", "parameters": {"temperature": 0.5}}
    expected = {"id": "1", "model_name": "llm", "text_output": "HI0.5"}
    assert ask(predictor, asked, "generate") == (200, expected)
    reply = predictor.handle(ModelCall(kind="generate_stream", body=payload(json.dumps(asked))))
    assert reply.content_type.startswith("text/event-stream")
    assert json.loads(reply.body.removeprefix(b"data: ")) == expected
    for bad in (b"", b"{}", b'{"text_input":1}', b'{"text_input":"a","parameters":{"a":[]}}'):
        assert ask(predictor, bad, "generate")[0] == 400


def test_a_stream_of_text(serve_folder: Any) -> None:
    files = {"custom.py": TEXT + STREAM}
    predictor = serve_folder(files, TargetType.TEXT_GENERATION, target_name="answer", model_name="llm")
    reply = predictor.handle(ModelCall(kind="generate_stream", body=payload('{"text_input": "hi"}')))
    assert isinstance(reply, StreamReply)
    texts = [json.loads(event.removeprefix(b"data: "))["text_output"] for event in reply.chunks]
    reply.close()
    assert texts == ["hi", "€"]


def test_generate_needs_texts_and_a_score_hook(regression: Any, serve_folder: Any) -> None:
    assert ask(regression, {"text_input": "hi"}, "generate")[0] == 400
