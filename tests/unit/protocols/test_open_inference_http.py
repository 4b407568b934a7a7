"""The edge of the Open Inference Protocol: paths, names, headers, errors in its form, on either way to an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.predictors.protocol import InferenceInfo, ModelCall, Reply, TargetType, TensorInfo
from drum_litestar.protocols.all_routes import PROTOCOL_ROUTES
from drum_litestar.route_table import OTHER, RouteTable
from http_serving import Broken, Mirror, Serving, card, options, serving
from support.options import executor_options

INFO = InferenceInfo(
    "drum_custom", (TensorInfo("a", "FP64", (-1,)),), (TensorInfo("predictions", "FP64", (-1, 2), ("yes", "no")),)
)


class Echo(Mirror):
    """Answers with what the HTTP process made of a request."""

    def handle(self, call: ModelCall) -> Reply:
        size = 0 if call.body is None else call.body.size
        return Reply(body=f"{call.kind} {call.json_size} {size}".encode())


def executor(predictor: Any) -> InlineExecutor:
    return InlineExecutor(lambda: predictor, executor_options())


def app_options(**fields: Any) -> Any:
    return options(model_name="m", protocol_routes=PROTOCOL_ROUTES, enable_docs=True, **fields)


@pytest.fixture(scope="module", params=["dispatcher", "litestar"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """With a hook of an extension all requests take Litestar's way."""
    hooks: Any = (lambda config: config,) if request.param == "litestar" else ()
    predictor = Echo(card(TargetType.TEXT_GENERATION, inference=INFO))
    with serving(executor(predictor), app_options(on_app_init=hooks)) as running:
        yield running


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200), ("GET", "/v2/", 200), ("GET", "/v2/health/live", 200), ("GET", "/v2/health/ready", 200),
        ("GET", "/v2/models", 200), ("GET", "/v2/models/m", 200), ("HEAD", "/v2/models/m/", 200),
        ("GET", "/v2/models/m/ready", 200), ("GET", "/v2/models/m/config", 200), ("GET", "/v2/models/m/stats", 501),
        ("GET", "/v2/models/other", 404), ("GET", "/v2/models/other/ready", 404), ("GET", "/v2/models/m/x", 404),
        ("GET", "/v2/models/m/versions/1", 501), ("GET", "/v2/models/m/versions/1/ready", 501),
        ("POST", "/v2/models/m/versions/1/infer", 501), ("POST", "/v2/models/other/versions/1/infer", 404),
        ("POST", "/v2/models/m/infer", 200), ("POST", "/v2/models/other/infer", 404),
        ("GET", "/v2/models/m/infer", 405), ("POST", "/v2/models/m", 405), ("POST", "/v2/nothing", 404),
        ("POST", "/v2/models/m/generate", 200), ("POST", "/v2/models/other/generate_stream", 404),
        ("POST", "/v2/repository/index", 200), ("POST", "/v2/repository/models/m/load", 501),
        ("POST", "/v2/repository/models/m/unload", 501), ("POST", "/v2/repository/models/other/load", 404),
        ("GET", "/v1/models/m", 200), ("GET", "/v1/models/other", 404), ("POST", "/v1/models/m:predict", 200),
        ("POST", "/v1/models/other:predict", 404), ("POST", "/v1/models/m", 404), ("GET", "/docs/openapi.json", 200),
    ],
)  # fmt: skip
def test_paths(server: Serving, method: str, path: str, status: int) -> None:
    answer = server.client.request(method, path, content=b"{}" if method == "POST" else None)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert list(answer.json()) == ["error"]


def test_bodies_are_passed_on_as_they_came(server: Serving) -> None:
    def infer(**headers: str) -> Any:
        return server.client.post("/v2/models/m/infer", content=b"{}123", headers=headers)

    assert infer().text == "infer None 5"
    assert infer(**{"Inference-Header-Content-Length": "2", "Content-Type": "x/y"}).text == "infer 2 5"
    assert infer(**{"Inference-Header-Content-Length": "0"}).text == "infer 0 5"
    for value in ("-1", "two", "1.5", "", "9" * 40):
        assert infer(**{"Inference-Header-Content-Length": value}).status_code == 400
    assert server.client.post("/v1/models/m:predict", content=b"{}").text == "infer_v1 None 2"


def test_descriptions(server: Serving) -> None:
    client = server.client
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"live": True, "ready": True}
    assert client.get("/v2/models").json() == {"models": ["m"]}
    assert client.get("/v2/models/m").json() == {
        "name": "m",
        "platform": "drum_custom",
        "inputs": [{"name": "a", "datatype": "FP64", "shape": [-1]}],
        "outputs": [
            {"name": "predictions", "datatype": "FP64", "shape": [-1, 2], "parameters": {"labels": ["yes", "no"]}}
        ],
    }
    config = client.get("/v2/models/m/config").json()
    assert config["input"] == [{"name": "a", "data_type": "TYPE_FP64", "dims": [-1]}]
    assert client.post("/v2/repository/index").json() == [{"name": "m", "state": "READY", "reason": ""}]
    assert client.post("/v2/repository/index", json={"ready": True}).json()[0]["name"] == "m"
    for bad in (b"[]", b'{"ready": 1}', b"x", b" " * 70_000):
        assert client.post("/v2/repository/index", content=bad).status_code == 400


def test_the_folder_is_loaded_again() -> None:
    loads: list[int] = []

    async def load_again() -> None:
        loads.append(1)
        if len(loads) > 1:
            raise ModelLoadError("it is broken")

    with serving(executor(Echo(card())), app_options(load_again=load_again)) as server:
        assert server.client.post("/v2/repository/models/m/load").json() == {"name": "m", "load": True}
        failed = server.client.post("/v2/repository/models/m/load", json={"parameters": {}})
        assert (failed.status_code, failed.json()) == (500, {"error": "model 'm' was not loaded again: it is broken"})
        refused = server.client.post("/v2/models/m/generate", content=b"{}")
        assert (refused.status_code, list(refused.json())) == (400, ["error"])


def test_a_model_that_could_not_be_loaded() -> None:
    with serving(executor(Broken()), app_options()) as server:
        for method, path in (("GET", "/v2/health/ready"), ("GET", "/v2/models/m"), ("POST", "/v2/models/m/infer")):
            answer = server.client.request(method, path)
            assert (answer.status_code, list(answer.json())) == (503, ["error"])
        assert server.client.get("/v2/health/live").status_code == 200
        listed = server.client.post("/v2/repository/index").json()
        assert listed[0]["state"] == "UNAVAILABLE"
        assert server.client.post("/v2/repository/index", json={"ready": True}).json() == []


def test_segments_that_vary_are_found() -> None:
    table = RouteTable(PROTOCOL_ROUTES, "/p")
    found = table.find("/p/v2/models//a b/versions/2/infer/")
    assert (found.template, found.values) == ("/p/v2/models/{model}/versions/{version}/infer", ("a b", "2"))
    assert table.find("/p/v2/repository/models/x/load").values == ("x",)
    assert table.find("/p/v2/nothing").template is None
    assert table.find("/p/v1/nothing").route is OTHER
    assert "/p/v2/models/{model}" in table.paths
