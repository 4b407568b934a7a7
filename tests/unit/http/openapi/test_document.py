"""The document: valid for every kind of model, of what is served alone, and of the bodies that are sent."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import msgspec
import page_assets
import pytest
from jsonschema import Draft202012Validator
from litestar import Litestar, get
from litestar.openapi import OpenAPIConfig
from openapi_spec_validator import validate

from drum_litestar import errors
from drum_litestar.http.openapi.document import document, operation_id
from drum_litestar.http.openapi.documentation_pages import documentation_pages
from drum_litestar.http.openapi.error_answers import DESCRIPTIONS
from drum_litestar.http.openapi.operation import Operation, Subject
from drum_litestar.messages.error_messages import ErrorMessage
from drum_litestar.predictors.protocol import InferenceInfo, ModelCard, TargetType, TensorInfo
from drum_litestar.protocols.all_routes import ALL_ROUTES, PROTOCOL_ROUTES
from http_serving import StateExecutor, card, options, serving

LABELS = ("yes", "no")
ROW = (("amount", "1.5"), ("a color", "red"))
COLUMNS = InferenceInfo(
    "x",
    (TensorInfo("amount", "FP64", (-1,)), TensorInfo("a color", "BYTES", (-1,))),
    (TensorInfo("predictions", "FP64", (-1, 2), LABELS),),
)
CARDS: dict[str, ModelCard] = {
    "binary": card(TargetType.BINARY, example=ROW, inference=COLUMNS, hooks=("transform",)),
    "regression": card(
        example=(("x1", "1"), ("x2", "2")), inference=InferenceInfo("x", (TensorInfo("input", "FP64", (-1, 2)),))
    ),
    "unknown columns": card(),
    "chat": card(TargetType.TEXT_GENERATION, chat=True, models=True, completions=True, embeddings=True),
    "text": card(TargetType.TEXT_GENERATION, hooks=("score",), example=(("promptText", "Hello"),)),
    "unstructured": card(TargetType.UNSTRUCTURED, unstructured=True),
    "transform": card(TargetType.TRANSFORM),
}


class Info(msgspec.Struct):
    """Of an extension; a message of ours has this name, too."""

    inner: int


def document_of(name: str, **fields: Any) -> Any:
    made = document(Subject(CARDS[name], options(model_name="m", **fields)), ALL_ROUTES, {})
    validate(made)
    return made


@pytest.mark.parametrize(
    ("name", "some", "none"),
    [
        ("binary", {"/predict", "/v2/models/{model}/infer"}, {"/transform", "/chat/completions", "/metrics"}),
        ("chat", {"/v1/chat/completions", "/embeddings", "/models"}, {"/predict", "/v2/models/{model}/infer"}),
        ("text", {"/predictions", "/v2/models/{model}/generate"}, {"/completions", "/predictUnstructured"}),
        ("unstructured", {"/predictUnstructured", "/v1/models/{model}:predict"}, {"/predict", "/transform"}),
        ("transform", {"/transform", "/v2/models/{model}/infer"}, {"/invocations", "/nim/{rest}"}),
    ],
)
def test_it_has_what_the_model_serves(name: str, some: set[str], none: set[str]) -> None:
    paths = set(document_of(name)["paths"])
    assert some <= paths
    assert not none & paths
    assert not [path for path in paths if "{version}" in path or "unload" in path]


@pytest.mark.parametrize("name", CARDS)
def test_examples_are_of_their_schemas(name: str) -> None:
    made = document_of(name)
    found = 0
    for item in made["paths"].values():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        for media in content.values():
            values = [each["value"] for each in media.get("examples", {}).values()]
            for value in [*values, *([media["example"]] if "example" in media else [])]:
                schema = {**media["schema"], "components": made["components"]}
                Draft202012Validator(schema).validate(value)
                found += 1
    assert found or name in ("unknown columns", "transform")


def test_examples_are_of_the_models_columns() -> None:
    content = document_of("binary")["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert content["text/csv"]["example"] == "amount,a color\n1.5,red\n"
    assert content["application/json"]["examples"]["rows"]["value"] == [{"amount": 1.5, "a color": "red"}]
    assert "example" not in content["text/mtx"]
    matrix = document_of("regression")["paths"]["/predict"]["post"]["requestBody"]["content"]["text/mtx"]["example"]
    assert matrix.splitlines()[1:] == ["1 2 2", "1 1 1", "1 2 2"]
    tensors = document_of("regression")["paths"]["/v2/models/{model}/infer"]["post"]["requestBody"]["content"]
    assert tensors["application/json"]["example"]["inputs"] == [
        {"name": "input", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}
    ]


def test_labels_are_in_the_answers_schema() -> None:
    answer = document_of("binary")["paths"]["/predict"]["post"]["responses"]["200"]["content"]["application/json"]
    check = Draft202012Validator(answer["schema"])
    check.validate({"predictions": [{"yes": 0.5, "no": None}]})
    assert not check.is_valid({"predictions": [{"yes": 0.5}]})


def test_errors_follow_from_row_and_options() -> None:
    plain, guarded = document_of("binary"), document_of("binary", with_token=True, with_rate_limit=True)
    before, after = (set(each["paths"]["/predict"]["post"]["responses"]) for each in (plain, guarded))
    assert after - before == {"401", "429"}
    assert "default" in before  # hooks raise errors of any status
    assert "security" not in plain
    assert guarded["security"] == [{"token": []}, {"key": []}]
    assert guarded["paths"]["/ping"]["get"]["security"] == []
    assert "401" in guarded["paths"]["/info"]["get"]["responses"]
    refused = guarded["paths"]["/v2/models/{model}/infer"]["post"]["responses"]["400"]["content"]["application/json"]
    assert refused["schema"] == {"$ref": "#/components/schemas/ErrorText"}


def test_every_error_is_in_the_documents_form() -> None:
    """Its keys, and its status but for the error server's."""
    known = get_type_hints(ErrorMessage)
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.RequestError)]
    assert {kind.status for kind in kinds} - set(DESCRIPTIONS) == {513}
    made = [
        errors.RateLimitedError(1), errors.QueueFullError(), errors.DeadlineExceededError(1.0, "id"),
        errors.UnsupportedCodingError("x", ["gzip"]), errors.UnprocessableError("x", accepted=["text/csv"]),
    ]  # fmt: skip
    for error in made:
        assert set(error.body()) <= set(known)
        msgspec.convert(error.body(), ErrorMessage)


def test_each_documented_row_says_what_it_takes_and_answers() -> None:
    assert all(isinstance(route.operation, Operation) for route in ALL_ROUTES if route.summary is not None)
    ids = [
        operation_id(route, path, method) for route in ALL_ROUTES for path in route.paths for method in route.methods
    ]
    # generators of clients make their names from these
    assert {"PredictPredict", "PingGetLiveness", "V1ChatCompletionsChat", "InfoHeadInfo"} <= set(ids)
    assert {"V2ModelsInferInfer", "NimRestPutForward", "V2ModelsGenerateStreamGenerateStream"} <= set(ids)


def test_routes_of_extensions_are_in_it_and_a_new_model_has_a_new_one() -> None:
    @get("/hello", sync_to_thread=False)
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    executor = StateExecutor("starting", None)
    settings = options(enable_docs=True, url_prefix="/p", route_handlers=(hello,), protocol_routes=PROTOCOL_ROUTES)
    with serving(executor, settings, loaded=False) as server:
        assert server.client.get("/p/docs/openapi.json").status_code == 503
        executor.card = CARDS["binary"]
        made = server.client.get("/p/docs/openapi.json").json()
        validate(made)
        assert made["servers"] == [{"url": "/p"}]
        assert {"/hello", "/predict"} <= set(made["paths"])
        executor.card = CARDS["transform"]
        assert "/predict" not in server.client.get("/p/docs/openapi.json").json()["paths"]


def test_schemas_of_extensions_keep_apart_from_ours() -> None:
    @get("/info", sync_to_thread=False)
    def hello() -> Info:
        return Info(1)

    mine = Litestar([hello], openapi_config=OpenAPIConfig("x", "1")).openapi_schema.to_schema()
    mine["paths"]["/info"]["put"] = mine["paths"]["/info"].pop("get")
    made = document(Subject(CARDS["binary"], options()), ALL_ROUTES, mine)
    validate(made)
    item = made["paths"]["/info"]
    assert set(item) == {"get", "head", "put"}
    assert "#/components/schemas/Info'" in str(item["get"])
    assert "#/components/schemas/ExtensionInfo'" in str(item["put"])
    assert set(made["components"]["schemas"]["ExtensionInfo"]["properties"]) == {"inner"}
    assert "codeDir" in made["components"]["schemas"]["Info"]["properties"]
    assert set(mine["paths"]["/info"]) == {"put"}


def test_the_pages_load_the_files_of_others_as_they_were_published() -> None:
    assert page_assets.differences() == []
    served = {path for route in documentation_pages() for path in route.paths}
    for package in page_assets.PACKAGES:
        assert {f"/docs/{asset.target.removeprefix('swagger/')}" for asset in package.assets} <= served
