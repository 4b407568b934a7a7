"""The native predictor: serves a Python model folder without DRUM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

import msgspec

from drum_litestar.context import WorkerStop
from drum_litestar.drum_json import drum_json
from drum_litestar.errors import ModelNotReadyError
from drum_litestar.messages.server_messages import ModelInfo, ProbeAnswer
from drum_litestar.predictors.native.calls.batch import BatchHandler
from drum_litestar.predictors.native.calls.chat import ChatHandler
from drum_litestar.predictors.native.calls.error_replies import error_reply
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.model_list import ModelListHandler
from drum_litestar.predictors.native.calls.predict_stream import PredictStreamHandler
from drum_litestar.predictors.native.calls.score import ScoreHandler, answer_column_types
from drum_litestar.predictors.native.calls.structured import StructuredHandler
from drum_litestar.predictors.native.calls.transform import TransformHandler
from drum_litestar.predictors.native.calls.unstructured import UnstructuredHandler
from drum_litestar.predictors.native.concurrency import model_concurrency, overlapping_calls
from drum_litestar.predictors.native.example_row import example_row
from drum_litestar.predictors.native.open_inference.generate_handler import GenerateHandler
from drum_litestar.predictors.native.open_inference.infer_handler import InferHandler
from drum_litestar.predictors.native.openai_api.completions import CompletionHandler
from drum_litestar.predictors.native.openai_api.embeddings import EmbeddingHandler
from drum_litestar.predictors.native.openai_api.prompts import PromptScorer
from drum_litestar.predictors.native.startup import load_model_folder
from drum_litestar.predictors.protocol import CallLoop, ModelCall, ModelCard, Reply, StreamReply, TargetType
from drum_litestar.predictors.rules import check_call
from drum_litestar.predictors.spec import PredictorSpec

Handler = Callable[[ModelCall], "Reply | StreamReply"]


class NativePredictor:
    """Implements :class:`~drum_litestar.predictors.protocol.Predictor` and ``BatchPredictor``."""

    def __init__(self, spec: PredictorSpec) -> None:
        self._spec = spec
        self._loaded: LoadedModel | None = None
        self._batch: BatchHandler | None = None
        self._card: ModelCard | None = None
        self._handlers: dict[str, Handler] = {}

    def load(self) -> ModelCard:
        """Load the model folder. Raises ModelLoadError."""
        loaded = self._loaded = load_model_folder(self._spec)
        structured = StructuredHandler(loaded)
        unstructured = UnstructuredHandler(loaded)
        chat = ChatHandler(loaded)
        completions = CompletionHandler(loaded, PromptScorer(loaded, structured))
        embeddings = EmbeddingHandler(loaded)
        models = ModelListHandler(loaded)
        transform = TransformHandler(loaded)
        infer = InferHandler(loaded, structured, transform, unstructured)
        streams = PredictStreamHandler(loaded, structured)
        generate = GenerateHandler(loaded, structured, streams)
        self._batch = BatchHandler(loaded, structured, self.handle, infer)
        self._handlers = {
            "predict": structured.handle,
            "predict_stream": streams.handle,
            "transform": transform.handle,
            "unstructured": unstructured.handle,
            "chat": chat.handle,
            "completion": completions.handle,
            "embed": embeddings.handle,
            "models": models.handle,
            "infer": infer.handle,
            "infer_v1": infer.handle_v1,
            "generate": generate.handle,
            "generate_stream": generate.handle_stream,
            "liveness": alive,
            "readiness": alive,
            "score": ScoreHandler(loaded.target_type, structured, transform).handle,
            "column_types": answer_column_types,
        }
        self._card = ModelCard(
            target_type=loaded.target_type,
            info=model_info(loaded),
            **columnar_fields(loaded),
            any_format=loaded.hooks.get("read_input_data") is not None,
            hooks=loaded.hooks.names,
            chat=chat.available,
            completions=completions.available,
            embeddings=embeddings.available,
            models=models.available,
            unstructured=unstructured.available,
            batching=self._batch.rule,
            row_by_row=structured.row_by_row,
            inference=infer.info,
            concurrency=model_concurrency(loaded),
            may_wait=loaded.framework is None or bool(loaded.hooks.names) or loaded.moderation is not None,
            example=example_row(loaded),
            description=_description(loaded, self._shortcuts(structured)),
            warnings=tuple(loaded.warnings),
        )
        return self._card

    def _shortcuts(self, structured: StructuredHandler) -> tuple[str, ...]:
        return structured.shortcuts + (("merged CSV",) if self.batching else ())

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        """Answer one call. Never raises but WorkerStop: exceptions of hooks and models, SystemExit included, become
        replies."""
        try:
            answer = self._answer(call)
        except WorkerStop:
            raise
        except BaseException as error:
            if self._card is None:  # close() has cancelled what hooks run on their event loop; nobody waits for it
                return _not_loaded()
            answer = error_reply(error, client_errors_4xx=self._spec.client_errors_4xx)
        if self._loaded is not None and self._loaded.monitor is not None:
            head = answer.head if isinstance(answer, StreamReply) else answer
            head.lost_reports = self._loaded.monitor.queue.take_lost()
        return answer

    @property
    def batching(self) -> bool:
        """See ``BatchPredictor.batching``."""
        return self._batch is not None and self._batch.rule != "never"

    @property
    def call_loop(self) -> CallLoop | None:
        """See :func:`~drum_litestar.predictors.protocol.call_loop`."""
        return None if self._loaded is None else overlapping_calls(self._loaded)

    def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        """See ``BatchPredictor.handle_batch``."""
        return None if self._batch is None else self._batch.handle(calls)

    def close(self) -> None:
        """Stop the hooks (event loop, masking of secrets) and the monitoring. Idempotent."""
        loaded, self._loaded, self._batch, self._card, self._handlers = self._loaded, None, None, None, {}
        if loaded is None:
            return
        loaded.hooks.close()
        if loaded.monitor is not None:
            loaded.monitor.close()

    def _answer(self, call: ModelCall) -> Reply | StreamReply:
        card, handler = self._card, self._handlers.get(call.kind)  # close() may run in another thread
        if card is None or handler is None:
            return _not_loaded()
        check_call(card, call.kind)
        return handler(call)


def _not_loaded() -> Reply:
    error = ModelNotReadyError("The model is not loaded")
    return Reply(status=error.status, body=drum_json(error.body()), headers=error.headers)


def alive(_: ModelCall) -> Reply:
    """The answer to a probe of a loaded model."""
    return Reply(body=drum_json(msgspec.to_builtins(ProbeAnswer("OK"))))


def columnar_fields(loaded: LoadedModel) -> dict[str, Any]:
    """The fields of the card that say whether Arrow and Parquet are read."""
    columnar = loaded.columnar
    if columnar is None or columnar.problem:
        return {"columnar_problem": "" if columnar is None else columnar.problem}
    plain = ModelCard(target_type=loaded.target_type)
    version = columnar.version
    return {
        "mimetypes": (*plain.mimetypes, *columnar.types),
        "payload_formats": {**plain.payload_formats, "arrow": version, "parquet": version},
    }


def model_info(loaded: LoadedModel) -> dict[str, Any]:
    """The model's part of ``/info/`` (contract, 3.12)."""
    info = ModelInfo(
        codeDir=str(loaded.code_dir),
        language=loaded.language,
        modelMetadata=loaded.metadata,
        predictor=None if loaded.framework is None else loaded.framework.name,
        targetType=loaded.target_type.value,
    )
    if loaded.labels is not None and loaded.target_type is TargetType.BINARY:
        info.positiveClassLabel, info.negativeClassLabel = loaded.labels
    elif loaded.labels is not None and loaded.target_type.has_label_list:
        info.classLabels = list(loaded.labels)
    return {name: value for name, value in msgspec.structs.asdict(info).items() if value is not msgspec.UNSET}


def _description(loaded: LoadedModel, shortcuts: tuple[str, ...]) -> str:
    if loaded.hooks.custom_task is not None:
        model = "CustomTask"
    elif loaded.framework is not None:
        model = loaded.framework.name
    else:
        model = "hooks: " + ", ".join(loaded.hooks.names)
    why = f"; chosen because: {loaded.spec.kind_reason}" if loaded.spec.kind_reason else ""
    enabled = ", ".join(shortcuts) if loaded.spec.shortcuts else "none, as DRUM_SHORTCUTS is false"
    return f"native predictor ({model}), target type {loaded.target_type.value}{why}; shortcuts: {enabled or 'none'}"
