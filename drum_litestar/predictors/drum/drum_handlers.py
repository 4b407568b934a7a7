"""Calls answered by DRUM's predictor: native parsing and encoding around its methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drum_litestar.drum_json import drum_json
from drum_litestar.predictors.native.calls.chat import ChatHandler
from drum_litestar.predictors.native.calls.event_stream import ASSOCIATION_ID
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.model_list import ModelListHandler
from drum_litestar.predictors.native.calls.structured import Predictions, StructuredHandler
from drum_litestar.predictors.native.calls.transform import transform_reply
from drum_litestar.predictors.native.formats.inputs import check_format, file_format, is_empty, structured_input
from drum_litestar.predictors.native.formats.type_schema import SchemaValidationError
from drum_litestar.predictors.native.formats.validation import ValidatedPredictions
from drum_litestar.predictors.native.hooks.request_values import RequestHeaders
from drum_litestar.predictors.protocol import ModelCall, Reply, TargetType


class DrumStructuredHandler(StructuredHandler):
    """``/predict/``: DRUM reads, predicts and validates; the answer is encoded natively."""

    def __init__(self, loaded: LoadedModel, drum: Any, *, sparse: bool) -> None:
        super().__init__(loaded)
        self._drum = drum
        self._sparse = sparse
        self._any_format = drum.has_read_input_data_hook()

    def handle(self, call: ModelCall) -> Reply:
        return self.reply(self.predictions(call), call.answer)

    def predictions(self, call: ModelCall) -> Predictions:
        source = self.parse(call)
        check_format(source.mimetype, any_format=self._any_format, sparse=self._sparse)
        response = self._drum.predict(
            binary_data=source.payload.read(),
            mimetype=source.mimetype,
            charset=source.charset,
            sparse_colnames=source.colnames,
        )
        frame = response.predictions
        validated = ValidatedPredictions(frame.to_numpy(), tuple(str(name) for name in frame.columns))
        return Predictions(validated, response.extra_model_output)


class DrumTransformHandler:
    """``/transform/``."""

    def __init__(self, drum: Any) -> None:
        self._drum = drum

    def handle(self, call: ModelCall) -> Reply:
        return transform_reply(*self.transformed(call))

    def transformed(self, call: ModelCall) -> Any:
        """The transformed features, and the target."""
        source = structured_input(call, any_format=self._drum.has_read_input_data_hook())
        target = None if call.y is None or is_empty(call.y) else call.y
        return as_schema_error(
            self._drum.transform,
            binary_data=source.payload.read(),
            mimetype=source.mimetype,
            charset=source.charset,
            target_binary_data=None if target is None else target.read(),
            target_mimetype=None if target is None else file_format(target),
            target_charset=None if target is None else target.charset,
            sparse_colnames=source.colnames,
        )


class DrumChatHandler(ChatHandler):
    """Chat routes. DRUM's predictor always receives the client's headers."""

    def __init__(self, loaded: LoadedModel, drum: Any) -> None:
        super().__init__(loaded)
        self._drum = drum
        self._supported = bool(drum.supports_chat())

    @property
    def available(self) -> bool:
        return self._supported and self._loaded.target_type is not TargetType.UNSTRUCTURED

    def _call_hook(self, params: dict[str, Any], call: ModelCall, association_id: Any) -> Any:
        if self._loaded.spec.monitor:  # DRUM must report the id that the client sees
            params = {**params, ASSOCIATION_ID: association_id}
        return self._drum.chat(params, headers=RequestHeaders(call.headers))


class DrumModelListHandler(ModelListHandler):
    """``/models``."""

    def __init__(self, loaded: LoadedModel, drum: Any) -> None:
        super().__init__(loaded)
        self._drum = drum

    def handle(self, _: ModelCall) -> Reply:
        return Reply(body=drum_json(self._drum.get_supported_llm_models()))


def probe(method: Callable[[], tuple[dict[str, Any], int]]) -> Callable[[ModelCall], Reply]:
    """A handler that calls one of DRUM's probe methods."""

    def handle(_: ModelCall) -> Reply:
        body, status = method()
        return Reply(status=int(status), body=drum_json(body))

    return handle


def as_schema_error(method: Callable[..., Any], **kwargs: Any) -> Any:
    """Call ``method``; raise DRUM's schema error, recognised by its name, as SchemaValidationError.

    DRUM has logged the violations already.
    """
    try:
        return method(**kwargs)
    except Exception as error:
        if type(error).__name__ == "DrumSchemaValidationException":
            raise SchemaValidationError(str(error)) from error
        raise
