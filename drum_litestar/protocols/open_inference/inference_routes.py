"""The table of routes of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.controllers.static import no_file
from drum_litestar.http.openapi.operation import Operation
from drum_litestar.http.service import ModelService
from drum_litestar.protocols.open_inference import inference_operations as operations
from drum_litestar.protocols.open_inference.infer_endpoints import generate, generate_stream, infer, v1_model
from drum_litestar.protocols.open_inference.model_endpoints import (
    model_metadata,
    model_ready,
    models,
    server_live,
    server_metadata,
    server_ready,
)
from drum_litestar.protocols.open_inference.repository import index, load, unload
from drum_litestar.protocols.open_inference.triton_endpoints import config, statistics
from drum_litestar.route_table import READ, REST, Access, Route

MODEL: Final = "/v2/models/{model:str}"
V1_MODEL: Final = "/v1/models/{model:str}"
_REPOSITORY: Final = "/v2/repository/models/{model:str}"
_VERSION: Final = "/versions/{version:str}"

Endpoint = Callable[[ModelService, AnyRequest], Awaitable[AnyResponse]]


def _route(
    *paths: str, answer: Endpoint, operation: Operation, summary: str, access: Access = "operator", **fields: Any
) -> Route:
    return Route(
        paths=paths,
        answer=answer,
        operation=operation,
        access=access,
        error_key="error",
        summary=summary,
        tag="open inference",
        **fields,
    )


def _of_model(end: str = "") -> tuple[str, str]:
    return f"{MODEL}{end}", f"{MODEL}{_VERSION}{end}"


def _call(
    *paths: str,
    answer: Endpoint,
    operation: Operation,
    span: str,
    summary: str,
    methods: tuple[str, ...] = ("POST",),
) -> Route:
    return _route(
        *paths,
        answer=answer,
        operation=operation,
        summary=summary,
        access="client",
        methods=methods,
        calls_model=True,
        decodes=True,
        span=span,
    )


OPEN_INFERENCE_ROUTES: Final[tuple[Route, ...]] = (
    _route("/v2", answer=server_metadata, operation=operations.SERVER, summary="The server and its extensions"),
    _route(
        "/v2/health/live",
        answer=server_live,
        operation=operations.LIVE,
        summary="The process is alive",
        access="probe",
        is_polled=True,
    ),
    _route(
        "/v2/health/ready",
        answer=server_ready,
        operation=operations.READY,
        summary="A call would be served now",
        access="probe",
        is_polled=True,
        calls_model=True,
    ),
    _route("/v2/models", answer=models, operation=operations.NAMES, summary="The model's name"),
    _route(
        *_of_model(), answer=model_metadata, operation=operations.METADATA, summary="Inputs and outputs of the model"
    ),
    _route(
        *_of_model("/ready"),
        answer=model_ready,
        operation=operations.MODEL_READY,
        summary="A call would be served now",
        access="probe",
        is_polled=True,
        calls_model=True,
    ),
    _call(
        *_of_model("/infer"),
        answer=infer,
        operation=operations.INFER,
        span="drum.infer",
        summary="Infer: tensors in, tensors out",
    ),
    _call(
        *_of_model("/generate"),
        answer=generate,
        operation=operations.GENERATE,
        span="drum.generate",
        summary="Generate text",
    ),
    _call(
        *_of_model("/generate_stream"),
        answer=generate_stream,
        operation=operations.GENERATE_STREAM,
        span="drum.generate",
        summary="Generate text, streamed",
    ),
    _route(
        *_of_model("/config"),
        answer=config,
        operation=operations.CONFIG,
        summary="The model's configuration, for Triton's tools",
    ),
    _route(*_of_model("/stats"), answer=statistics, operation=operations.STATISTICS, summary="Counts and times"),
    _route(
        "/v2/repository/index",
        answer=index,
        operation=operations.INDEX,
        methods=("POST",),
        summary="The models of the repository",
    ),
    _route(
        f"{_REPOSITORY}/load",
        answer=load,
        operation=operations.LOAD,
        methods=("POST",),
        summary="Load the model folder again",
    ),
    _route(
        f"{_REPOSITORY}/unload",
        answer=unload,
        operation=operations.UNLOAD,
        methods=("POST",),
        summary="501: the server's only model stays",
    ),
    _call(
        V1_MODEL,
        answer=v1_model,
        operation=operations.V1,
        span="drum.infer",
        summary="V1: whether the model is ready, and {model}:predict",
        methods=(*READ, "POST"),
    ),
    Route(
        paths=(f"/v2/{REST}",),
        answer=no_file,
        methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        error_key="error",
    ),
)
