"""The predictor that wraps one of datarobot-drum: R, Java, NIM, vLLM, Triton, and Python models on request."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Callable

from drum_litestar.context import WorkerStop
from drum_litestar.errors import ModelLoadError, ModelNotReadyError
from drum_litestar.predictors.drum import backend as backends
from drum_litestar.predictors.drum.drum_handlers import (
    DrumChatHandler,
    DrumModelListHandler,
    DrumPromptScorer,
    DrumStructuredHandler,
    DrumTransformHandler,
    probe,
)
from drum_litestar.predictors.drum.watchdog import SidecarWatchdog
from drum_litestar.predictors.folder.language import PYTHON
from drum_litestar.predictors.folder.model_folder import read_folder
from drum_litestar.predictors.native.calls.error_replies import error_reply
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.predict_stream import PredictStreamHandler
from drum_litestar.predictors.native.calls.score import ScoreHandler, answer_column_types
from drum_litestar.predictors.native.calls.unstructured import UnstructuredHandler
from drum_litestar.predictors.native.datarobot.lazy_loading import export_variables
from drum_litestar.predictors.native.example_row import example_row
from drum_litestar.predictors.native.hooks.custom_module import Hooks
from drum_litestar.predictors.native.native_predictor import alive, model_info
from drum_litestar.predictors.native.open_inference.generate_handler import GenerateHandler
from drum_litestar.predictors.native.open_inference.infer_handler import InferHandler
from drum_litestar.predictors.native.openai_api.completions import CompletionHandler
from drum_litestar.predictors.native.startup import hide_secrets, load_errors
from drum_litestar.predictors.protocol import (
    SPARSE_TYPE,
    STRUCTURED_TYPES,
    ModelCall,
    ModelCard,
    Reply,
    StreamReply,
)
from drum_litestar.predictors.rules import check_call
from drum_litestar.predictors.spec import PredictorSpec

logger = logging.getLogger("drum")

Handler = Callable[[ModelCall], "Reply | StreamReply"]


class DrumPredictor:
    """Implements :class:`~drum_litestar.predictors.protocol.Predictor`.

    Runs in a model worker only: DRUM's predictors start threads and processes, and some (R) need the main thread.
    """

    def __init__(self, spec: PredictorSpec) -> None:
        self._spec = spec
        self._drum: Any = None
        self._watchdog: SidecarWatchdog | None = None
        self._card: ModelCard | None = None
        self._handlers: dict[str, Handler] = {}

    def load(self) -> ModelCard:
        """Configure DRUM's predictor, which loads the model or starts its server. Raises ModelLoadError."""
        with load_errors():
            return self._load()

    def _load(self) -> ModelCard:
        spec = self._spec
        folder = read_folder(spec)
        backend = backends.find_backend(spec, folder.language)
        if spec.lazy_loading_file:
            export_variables(Path(spec.lazy_loading_file))
        hide_secrets(spec)
        if spec.argv:
            sys.argv = list(spec.argv)
        drum = self._drum = backends.create(backend)
        try:
            drum.configure(backends.configuration(spec, folder.target_type, folder.labels, folder.language))
        except ImportError as error:
            raise ModelLoadError(
                f"DRUM's {backend.name} cannot be used: {error}. Install: {backend.install}"
            ) from error
        hooks = Hooks(functions={"score_unstructured": self._unstructured})
        loaded = LoadedModel.from_folder(spec, folder, hooks, model=None)
        return self._serve(loaded, drum, backend)

    def _serve(self, loaded: LoadedModel, drum: Any, backend: backends.Backend) -> ModelCard:
        spec = self._spec
        structured = DrumStructuredHandler(loaded, drum, sparse=backend.sparse)
        chat, models, transform = (
            DrumChatHandler(loaded, drum),
            DrumModelListHandler(loaded, drum),
            DrumTransformHandler(drum),
        )
        completions = CompletionHandler(loaded, DrumPromptScorer(loaded, structured))
        unstructured = UnstructuredHandler(loaded)
        generate = GenerateHandler(loaded, structured, PredictStreamHandler(loaded, structured))
        infer = InferHandler(loaded, structured, transform, unstructured)
        probes_model = hasattr(drum, "liveness_probe") and hasattr(drum, "readiness_probe")
        self._handlers = {
            "predict": structured.handle,
            "predict_stream": structured.handle,
            "transform": transform.handle,
            "unstructured": unstructured.handle,
            "chat": chat.handle,
            "completion": completions.handle,
            "models": models.handle,
            "infer": infer.handle,
            "infer_v1": infer.handle_v1,
            "generate": generate.handle,
            "generate_stream": generate.handle_stream,
            "liveness": probe(drum.liveness_probe) if probes_model else alive,
            "readiness": probe(drum.readiness_probe) if probes_model else alive,
            "score": ScoreHandler(loaded.target_type, structured, transform).handle,
            "column_types": answer_column_types,
        }
        upstream = _llm_server(spec, drum)
        self._watchdog = SidecarWatchdog.from_environment(upstream, getattr(drum, "health_route", "/"))
        why = f"; chosen because: {spec.kind_reason}" if spec.kind_reason else ""
        self._card = ModelCard(
            target_type=loaded.target_type,
            info=_info(loaded, drum),
            payload_formats={"csv": None, "mtx": None} if backend.sparse else {"csv": None},
            mimetypes=(*STRUCTURED_TYPES, *((SPARSE_TYPE,) if backend.sparse else ())),
            any_format=bool(drum.has_read_input_data_hook()),
            chat=chat.available,
            completions=completions.available,
            models=models.available,
            unstructured=loaded.target_type.value == "unstructured",
            probes_model=probes_model,
            direct_access=upstream,
            inference=infer.info,
            concurrency=backends.concurrency(backend, loaded.target_type),
            may_wait=backends.may_wait(backend, Path(spec.code_dir)),
            example=example_row(loaded),
            description=f"DRUM predictor ({backend.name}), target type {loaded.target_type.value}{why}",
        )
        return self._card

    def _unstructured(self, _: Any, data: Any, **kwargs: Any) -> Any:
        return self._drum.predict_unstructured(data, **kwargs)

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        """Answer one call. Never raises but WorkerStop."""
        try:
            card, handler = self._card, self._handlers.get(call.kind)  # close() may run in another thread
            if card is None or handler is None:
                raise ModelNotReadyError("The model is not loaded")
            check_call(card, call.kind)
            return handler(call)
        except WorkerStop:
            raise
        except BaseException as error:
            return error_reply(error, client_errors_4xx=self._spec.client_errors_4xx)

    def close(self) -> None:
        """Stop the watchdog, then DRUM's predictor with its server and its reports. Idempotent."""
        drum, self._drum, self._card, self._handlers = self._drum, None, None, {}
        if self._watchdog is not None:
            self._watchdog.close()
        terminate = getattr(drum, "terminate", None)
        if terminate is not None:
            try:
                terminate()
            except Exception:
                logger.exception("DRUM's predictor did not terminate cleanly")


def _llm_server(spec: PredictorSpec, drum: Any) -> str | None:
    """Base URL of the OpenAI-compatible server behind the predictor (contract, 3.15)."""
    if spec.gpu_predictor not in backends.LLM_SERVERS:
        return None
    return f"http://{drum.openai_host}:{drum.openai_port}"


def _info(loaded: LoadedModel, drum: Any) -> dict[str, Any]:
    """The model's part of ``/info/``; only Python models name their framework (contract, 3.12)."""
    info = model_info(loaded)
    del info["predictor"]
    if loaded.language == PYTHON:
        info["predictor"] = drum.model_info().get("predictor")
    return info
