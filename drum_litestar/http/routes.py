"""The table of routes (contract, 3). A new route is a row here and its endpoint in ``controllers/``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.controllers.direct_access import forward
from drum_litestar.http.controllers.health import liveness, livez, readiness, readyz, startup
from drum_litestar.http.controllers.info import capabilities, info, stats
from drum_litestar.http.controllers.metrics import metrics
from drum_litestar.http.controllers.static import no_file
from drum_litestar.http.openapi import row_operations, server_operations, text_operations
from drum_litestar.http.openapi.operation import Operation
from drum_litestar.http.payloads import Collector, collect_json, collect_nothing, collect_raw, collect_structured
from drum_litestar.http.replies import Headers
from drum_litestar.http.service import ModelService
from drum_litestar.predictors.protocol import CallKind, ModelCard
from drum_litestar.predictors.rules import (
    check_chat,
    check_completion,
    check_embed,
    check_models,
    check_structured,
    check_transform,
    check_unstructured,
)
from drum_litestar.route_table import REST, Route


@dataclass(frozen=True)
class CallOfModel:
    """Endpoint of a route that is one call of the model."""

    kind: CallKind
    rule: Callable[[ModelCard], None]
    """Raises RequestError for a model that cannot be asked this."""
    collect: Collector
    single_chunk: bool = False
    """The answer is sent as a stream even if the model does not stream."""
    headers: Headers = ()
    """Of answers below 400."""

    @property
    def __name__(self) -> str:
        """As a function has it."""
        return self.kind

    async def __call__(self, service: ModelService, request: AnyRequest) -> AnyResponse:
        self.rule(await service.loaded_card(request))
        return await service.answer(
            request, self.kind, self.collect, single_chunk=self.single_chunk, extra=self.headers
        )


def _prediction(
    *paths: str,
    answer: CallOfModel,
    operation: Operation,
    span: str,
    summary: str,
    tag: str = "predictions",
    decodes: bool = True,
) -> Route:
    return Route(
        paths=paths,
        answer=answer,
        operation=operation,
        methods=("POST",),
        calls_model=True,
        decodes=decodes,
        span=span,
        summary=summary,
        tag=tag,
    )


DIRECT_ACCESS: Final = ("directAccess", "nim")

ROUTES: Final[tuple[Route, ...]] = (
    _prediction(
        "/predict",
        "/predictions",
        "/invocations",
        answer=CallOfModel("predict", check_structured, collect_structured),
        span="drum.invocations",
        operation=row_operations.PREDICT,
        summary="Predict rows",
    ),
    _prediction(
        "/predictionsStream",
        answer=CallOfModel(
            "predict_stream",
            check_structured,
            collect_structured,
            single_chunk=True,
            headers=(("X-Streaming", "true"),),
        ),
        span="drum.invocations",
        operation=row_operations.PREDICT_STREAM,
        summary="Predict rows, streamed",
    ),
    _prediction(
        "/transform",
        answer=CallOfModel("transform", check_transform, collect_structured),
        span="drum.transform",
        operation=row_operations.TRANSFORM,
        summary="Transform rows",
    ),
    _prediction(
        "/predictUnstructured",
        "/predictionsUnstructured",
        answer=CallOfModel("unstructured", check_unstructured, collect_raw),
        span="drum.predictUnstructured",
        operation=row_operations.UNSTRUCTURED,
        summary="Predict from any body",
        decodes=False,  # a hook may read the coding from the headers that it gets, as under DRUM
    ),
    _prediction(
        "/chat/completions",
        "/v1/chat/completions",
        answer=CallOfModel("chat", check_chat, collect_json),
        span="drum.chat.completions",
        operation=text_operations.CHAT,
        summary="Chat completion",
        tag="chat",
    ),
    _prediction(
        "/completions",
        "/v1/completions",
        answer=CallOfModel("completion", check_completion, collect_json),
        span="drum.completions",
        operation=text_operations.COMPLETION,
        summary="Text completion",
        tag="chat",
    ),
    _prediction(
        "/embeddings",
        "/v1/embeddings",
        answer=CallOfModel("embed", check_embed, collect_json),
        span="drum.embeddings",
        operation=text_operations.EMBED,
        summary="Embeddings",
        tag="chat",
    ),
    Route(
        paths=("/models", "/v1/models"),
        answer=CallOfModel("models", check_models, collect_nothing),
        calls_model=True,
        operation=text_operations.MODELS,
        summary="List models",
        tag="chat",
    ),
    Route(
        paths=tuple(f"/{name}/{REST}" for name in DIRECT_ACCESS),
        answer=forward,
        methods=("GET", "HEAD", "POST", "PUT"),
        span="drum.directAccess",
        operation=text_operations.DIRECT_ACCESS,
        summary="Forward to the LLM server",
        tag="chat",
    ),
    Route(
        paths=("/livez",),
        answer=livez,
        access="probe",
        is_polled=True,
        operation=server_operations.PROBE,
        summary="The process is alive",
        tag="health",
    ),
    Route(
        paths=("/", "/ping"),
        answer=liveness,
        access="probe",
        is_polled=True,
        calls_model=True,  # of predictors that answer probes themselves
        operation=server_operations.PROBE,
        summary="The model has loaded",
        tag="health",
    ),
    *(
        Route(
            paths=(path,),
            answer=answer,
            access="probe",
            is_polled=True,
            calls_model=True,
            operation=server_operations.PROBE,
            summary="A call would be served now",
            tag="health",
        )
        for path, answer in (("/health", readiness), ("/readyz", readyz))
    ),
    Route(
        paths=("/startupz",),
        answer=startup,
        access="probe",
        is_polled=True,
        operation=server_operations.PROBE,
        summary="The model has been ready once",
        tag="health",
    ),
    Route(
        paths=("/info",),
        answer=info,
        access="operator",
        operation=server_operations.INFO,
        summary="The model",
        tag="info",
    ),
    Route(
        paths=("/capabilities",),
        answer=capabilities,
        access="operator",
        operation=server_operations.CAPABILITIES,
        summary="What the model can be asked",
        tag="info",
    ),
    Route(
        paths=("/stats",),
        answer=stats,
        access="operator",
        operation=server_operations.STATS,
        summary="Memory, processes and counters",
        tag="info",
    ),
    Route(
        paths=("/metrics",),
        answer=metrics,
        access="operator",
        is_polled=True,
        operation=server_operations.METRICS,
        summary="Metrics",
        tag="info",
    ),
    Route(paths=(f"/static/{REST}",), answer=no_file),
)
