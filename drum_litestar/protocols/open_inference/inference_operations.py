"""What the OpenAPI document says of the protocol's routes."""

from __future__ import annotations

from typing import Any, Final

from drum_litestar.errors import UnprocessableError
from drum_litestar.http.openapi.operation import Content, Operation, Subject, answers, events_of, json_of, passes
from drum_litestar.http.openapi.request_examples import columns, tensors
from drum_litestar.http.openapi.row_operations import BINARY
from drum_litestar.media_types import JSON
from drum_litestar.messages.inference_messages import (
    GenerateRequest,
    GenerateResponse,
    IndexEntry,
    IndexRequest,
    InferenceRequest,
    InferenceResponse,
    InstancesRequest,
    InstancesResponse,
    ModelConfig,
    ModelLoaded,
    ModelMetadata,
    ModelNames,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    Statistics,
)
from drum_litestar.predictors.protocol import ModelCard, TargetType
from drum_litestar.predictors.rules import answers_rows, check_generate

OCTETS: Final = "application/octet-stream"


def _require_scores(card: ModelCard) -> None:
    if not answers_rows(card):
        raise UnprocessableError("the model has no rows")


def _tensors(subject: Subject) -> Content:
    inputs = tensors(subject.card)
    return {
        **json_of(InferenceRequest, {"inputs": inputs} if inputs else None),
        OCTETS: {"schema": {**BINARY, "description": "The request in JSON, and after it the bytes of its tensors."}},
    }


def _instances(subject: Subject) -> Content:
    row = columns(subject.card)
    example: dict[str, Any] | None = {"instances": [{each.name: each.cell for each in row}]} if row else None
    if subject.card.target_type is TargetType.UNSTRUCTURED:
        example = {"instances": ["some text"]}
    return json_of(InstancesRequest, example)


SERVER: Final = Operation(answer=answers(ServerMetadata))
LIVE: Final = Operation(answer=answers(ServerLive))
READY: Final = Operation(answer=answers(ServerReady))
NAMES: Final = Operation(answer=answers(ModelNames))
METADATA: Final = Operation(answer=answers(ModelMetadata))
MODEL_READY: Final = Operation(answer=answers(ModelReady))
CONFIG: Final = Operation(answer=answers(ModelConfig))
STATISTICS: Final = Operation(
    answer=answers(Statistics), offered=lambda subject: subject.options.inference_stats is not None
)
INFER: Final = Operation(
    body=_tensors,
    answer=lambda _: {JSON: {"schema": InferenceResponse}, OCTETS: {"schema": BINARY}},
    offered=passes(_require_scores),
    parameters=(
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "description": "Length in bytes of the JSON at the begin of a body that has tensors in binary.",
            "schema": {"type": "integer", "minimum": 0},
        },
    ),
)
GENERATE: Final = Operation(
    body=lambda _: json_of(GenerateRequest, {"text_input": "Hello"}),
    answer=answers(GenerateResponse),
    offered=passes(check_generate, _require_scores),
)
GENERATE_STREAM: Final = Operation(
    body=lambda _: json_of(GenerateRequest, {"text_input": "Hello"}),
    answer=lambda _: events_of(GenerateResponse),
    offered=passes(check_generate, _require_scores),
)
INDEX: Final = Operation(
    body=lambda _: json_of(IndexRequest),
    body_is_required=False,
    answer=answers({"type": "array", "items": IndexEntry}),
)
LOAD: Final = Operation(answer=answers(ModelLoaded), offered=lambda subject: subject.options.load_again is not None)
UNLOAD: Final = Operation(answer=answers({}), offered=lambda _: False)
V1: Final = Operation(
    body=_instances,
    answer=lambda subject: json_of({"anyOf": [ModelReady, InstancesResponse]}),
    offered=passes(_require_scores),
    post_end=":predict",
)
