"""The Open Inference Protocol over HTTP, asked by NVIDIA's client as its users ask: real servers and model folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from support.servers.fleet import Fleet, require
from support.wire import get, post

client_module = pytest.importorskip("tritonclient.http")
np_to_triton_dtype = pytest.importorskip("tritonclient.utils").np_to_triton_dtype
BACKENDS = {"regression": "pool"}
"""Others are served inline, which starts sooner."""
Client = Callable[[str], Any]


@pytest.fixture
def client(fleet: Fleet) -> Iterator[Client]:
    """A client of the model folder with this name, which is also the model's."""
    clients = []

    def connect(name: str) -> Any:
        require(name)
        server, _ = fleet.serving(BACKENDS.get(name, "inline"), name)
        clients.append(client_module.InferenceServerClient(f"127.0.0.1:{server.port}"))
        return clients[-1]

    yield connect
    for each in clients:
        each.close()


def inputs(binary: bool, **columns: Any) -> list[Any]:
    found = []
    for name, values in columns.items():
        each = client_module.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
        each.set_data_from_numpy(values, binary_data=binary)
        found.append(each)
    return found


def outputs(binary: bool, *names: str) -> list[Any]:
    return [client_module.InferRequestedOutput(name, binary_data=binary) for name in names]


ENCODINGS = pytest.mark.parametrize(("sent", "wanted"), [(True, True), (True, False), (False, True), (False, False)])


@ENCODINGS
def test_regression(client: Client, sent: bool, wanted: bool) -> None:
    triton = client("regression")
    name = triton.get_model_repository_index()[0]["name"]
    described = triton.get_model_metadata(name)
    columns = {each["name"]: np.array([0.5, 1.0]) for each in described["inputs"]}
    assert described["outputs"] == [{"name": "predictions", "datatype": "FP64", "shape": [-1]}]
    asked = outputs(wanted, "predictions")
    found = triton.infer(name, inputs(sent, **columns), request_id="r1", outputs=asked)
    assert found.get_response()["id"] == "r1"
    predictions = found.as_numpy("predictions")
    matrix = np.stack(list(columns.values()), axis=1)
    again = triton.infer(name, inputs(sent, x=matrix), outputs=asked).as_numpy("predictions")
    assert predictions.dtype == np.float64
    assert predictions.tolist() == again.tolist()
    compressed = triton.infer(
        name,
        inputs(sent, x=matrix),
        outputs=asked,
        request_compression_algorithm="gzip",
        response_compression_algorithm="gzip",
    )
    assert compressed.as_numpy("predictions").tolist() == again.tolist()


def test_what_the_server_says(client: Client, fleet: Fleet) -> None:
    triton = client("regression")
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert "binary_tensor_data" in triton.get_server_metadata()["extensions"]
    (model,) = triton.get_model_repository_index()
    name = model["name"]
    assert model["state"] == "READY"
    assert triton.is_model_ready(name)
    assert not triton.is_model_ready("other")
    config = triton.get_model_config(name)
    assert config["max_batch_size"] == 0
    assert config["output"] == [{"name": "predictions", "data_type": "TYPE_FP64", "dims": [-1]}]
    (before,) = triton.get_inference_statistics(name)["model_stats"]
    triton.infer(name, inputs(True, x=np.zeros((1, len(config["input"])))))
    (after,) = triton.get_inference_statistics(name)["model_stats"]
    assert after["inference_count"] == before["inference_count"] + 1
    assert after["inference_stats"]["success"]["ns"] > before["inference_stats"]["success"]["ns"]
    triton.load_model(name)
    assert triton.is_model_ready(name)
    with pytest.raises(Exception, match="stop the server"):
        triton.unload_model(name)
    with pytest.raises(Exception, match="there is no model 'other'"):
        triton.infer("other", inputs(True, x=np.zeros((1, 2))))
    with pytest.raises(Exception, match="has no versions"):
        triton.infer(name, inputs(True, x=np.zeros((1, 2))), model_version="1")


def test_every_error_has_the_protocols_form(client: Client, fleet: Fleet) -> None:
    client("regression")
    server, _ = fleet.serving("pool", "regression")
    path = "/v2/models/regression/infer"
    for expected, request in {
        404: get("/v2/nothing"),
        405: get(path),
        400: post(path, b"{}", "application/json"),
        415: post(path, b"{}", "application/json", ("Content-Encoding", "lzma")),
    }.items():
        answer = server.send(request)
        assert answer.status == expected
        assert list(answer.json()) == ["error"]


@ENCODINGS
def test_binary_classification(client: Client, sent: bool, wanted: bool) -> None:
    triton = client("binary")
    (model,) = triton.get_model_repository_index()
    described = triton.get_model_metadata(model["name"])
    assert described["outputs"][0]["parameters"] == {"labels": ["yes", "no"]}
    matrix = np.random.default_rng(1).normal(size=(3, len(described["inputs"]))).astype(np.float32)
    found = triton.infer(model["name"], inputs(sent, x=matrix), outputs=outputs(wanted, "predictions"))
    assert found.as_numpy("predictions").shape == (3, 2)
    assert np.allclose(found.as_numpy("predictions").sum(axis=1), 1)


@ENCODINGS
def test_text(client: Client, sent: bool, wanted: bool) -> None:
    triton = client("text")
    (model,) = triton.get_model_repository_index()
    prompts = np.array(["one", "zwölf"], dtype=object)
    found = triton.infer(model["name"], inputs(sent, promptText=prompts), outputs=outputs(wanted, "predictions"))
    texts = [each.decode() if isinstance(each, bytes) else each for each in found.as_numpy("predictions")]
    assert [json.loads(text)["row"] for text in texts] == [["one"], ["zwölf"]]


def test_generated_text(client: Client, fleet: Fleet) -> None:
    client("text")
    server, _ = fleet.serving("inline", "text")
    answer = server.send(post("/v2/models/text/generate", b'{"text_input": "hi"}', "application/json"))
    assert json.loads(answer.json()["text_output"])["row"] == ["hi"]
    streamed = server.send(post("/v2/models/text/generate_stream", b'{"text_input": "hi"}', "application/json"))
    assert streamed.body.startswith(b"data: {")
    listed = server.send(post("/v1/models/text:predict", b'{"instances": ["hi"]}', "application/json"))
    assert len(listed.json()["predictions"]) == 1
    assert server.send(get("/v1/models/text")).json() == {"name": "text", "ready": True}


@ENCODINGS
def test_unstructured(client: Client, sent: bool, wanted: bool) -> None:
    triton = client("unstructured")
    (model,) = triton.get_model_repository_index()
    found = triton.infer(
        model["name"],
        inputs(sent, input=np.array(["a body"], dtype=object)),
        outputs=outputs(wanted, "predictions"),
        query_params={"do": "data.upper()"},
    )
    (text,) = found.as_numpy("predictions")
    assert text in ("A BODY", b"A BODY")


def test_transform(client: Client) -> None:
    triton = client("transform_sklearn")
    (model,) = triton.get_model_repository_index()
    found = triton.infer(model["name"], inputs(True, x=np.array([[1.0, 2.0], [3.0, 4.0]])))
    names = [each["name"] for each in found.get_response()["outputs"]]
    assert names == ["0", "1"]
    assert found.as_numpy("0").shape == (2,)
