"""Calls of the Open Inference Protocol, V2 and V1: tensors or instances in, the model's predictions out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Iterable, List, Optional, Protocol, Sequence, Tuple

import msgspec

from drum_litestar.context import WorkerStop
from drum_litestar.errors import BadRequestError, shown
from drum_litestar.media_types import JSON
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.structured import Predictions, StructuredHandler
from drum_litestar.predictors.native.calls.unstructured import UnstructuredHandler
from drum_litestar.predictors.native.hooks.user_errors import StageError
from drum_litestar.predictors.native.open_inference.infer_answer import BINARY_TYPE, infer_error, infer_reply
from drum_litestar.predictors.native.open_inference.infer_request import InferRequest, read_request
from drum_litestar.predictors.native.open_inference.instances import predictions_json, read_instances, rows_call
from drum_litestar.predictors.native.open_inference.tensor_metadata import OUTPUT, inference_info
from drum_litestar.predictors.native.open_inference.tensor_tables import Tables, counted, listed, tensors_of
from drum_litestar.predictors.native.open_inference.tensors import (
    BYTES,
    FP64,
    Tensor,
    as_text,
    of_array,
    of_element,
)
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, TargetType
from drum_litestar.predictors.steps import step

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class TableTransform(Protocol):
    """The transform handler of either predictor."""

    def transform_table(self, table: CsvTable) -> pd.DataFrame: ...

    def transformed(self, call: ModelCall) -> Tuple[pd.DataFrame, Any]: ...


class InferHandler:
    """Answers calls of the Open Inference Protocol for one loaded model."""

    def __init__(
        self,
        loaded: LoadedModel,
        structured: StructuredHandler,
        transform: TableTransform,
        unstructured: UnstructuredHandler,
    ) -> None:
        self.info = inference_info(loaded)
        self._loaded = loaded
        self._name = loaded.spec.model_name
        self._structured = structured
        self._transform = transform
        self._unstructured = unstructured
        self._tables = Tables(self.info.inputs, self._width())

    def _width(self) -> Optional[int]:
        """The number of columns of a request's table; None where another one could be right."""
        inputs, target = self.info.inputs, self._loaded.target_type
        by_model = self._loaded.framework is not None and self._structured.row_by_row
        if not inputs or target is TargetType.TRANSFORM or not (by_model or target.is_text):
            return None
        width = inputs[0].shape[1] if len(inputs[0].shape) > 1 else len(inputs)
        return None if width == -1 else width

    def handle(self, call: ModelCall) -> Reply:
        """Answer a V2 call. Raises nothing but WorkerStop."""
        return self._guarded(self._infer, call)

    def handle_v1(self, call: ModelCall) -> Reply:
        """Answer a V1 call. Raises nothing but WorkerStop."""
        return self._guarded(self._infer_v1, call)

    def _guarded(self, answer: Callable[[ModelCall], Reply], call: ModelCall) -> Reply:
        try:
            return answer(call)
        except WorkerStop:
            raise
        except BaseException as error:  # SystemExit of a hook too
            return infer_error(error)

    def _infer(self, call: ModelCall) -> Reply:
        with step("parse"):
            request = read_request(call, self.info.inputs)
        target = self._loaded.target_type
        if target is TargetType.UNSTRUCTURED:
            return infer_reply(request, self._name, [of_element(OUTPUT, self._ask_hook(request, call))])
        with step("parse"):
            table = self._tables.table(request)
        if target.is_text:
            self._require_text(request.inputs)
        if target is TargetType.TRANSFORM:
            frame = self._transform.transform_table(table)
            with step("serialize"):
                return infer_reply(request, self._name, tensors_of(frame))
        try:
            return self._structured.answer_table(
                table, _as_sent(call), lambda predictions: self.answer(request, predictions)
            )
        except StageError as error:
            self._refuse_misfit(table.columns, error)
            self._refuse_texts(request.inputs, error)
            raise

    def read(self, call: ModelCall) -> tuple[InferRequest, CsvTable] | None:
        """The request and the table of a V2 call, for a batch; None for a call that must be answered alone."""
        try:
            request = read_request(call, self.info.inputs)
            return request, self._tables.table(request)
        except BadRequestError:
            return None

    def answer(self, request: InferRequest, predictions: Predictions) -> Reply:
        """The answer to a V2 request. Raises BadRequestError for an output that there is not."""
        return infer_reply(request, self._name, self.tensors(predictions))

    def tensors(self, predictions: Predictions) -> List[Tensor]:
        """The predictions, and each further column of the score hook's frame."""
        validated, extra = predictions
        found = [] if extra is None else tensors_of(extra)
        if any(each.name == OUTPUT for each in found):
            raise ValueError(f"the score hook returned a further column {OUTPUT!r}, which is the name of an output")
        if self._loaded.target_type.keeps_values:
            return [of_array(OUTPUT, validated.column().to_numpy(dtype=object)), *found]
        values: NDArray[Any] = validated.floats()
        if not self._loaded.target_type.is_classification:
            return [Tensor(OUTPUT, FP64, values.ravel()), *found]
        labels = self._loaded.labels
        if labels is not None and tuple(validated.columns) != labels:
            values = values[:, [validated.columns.index(label) for label in labels]]
        return [Tensor(OUTPUT, FP64, values), *found]

    def _ask_hook(self, request: InferRequest, call: ModelCall) -> bytes:
        """The answer of ``score_unstructured`` to the one element of the one input."""
        if len(request.inputs) != 1 or request.inputs[0].values.size != 1 or request.inputs[0].datatype != BYTES:
            raise BadRequestError("an unstructured model takes one input of one BYTES element")
        tensor = request.inputs[0]
        element = tensor.values.item()
        raw = element.encode() if isinstance(element, str) else element or b""
        mimetype = tensor.content_type if "/" in tensor.content_type else _media_type(raw)
        return self._unstructured_body(raw, mimetype, call)

    def _unstructured_body(self, raw: bytes, mimetype: str, call: ModelCall) -> bytes:
        body = Payload(data=raw, size=len(raw), mimetype=mimetype)
        return self._unstructured.handle(msgspec.structs.replace(call, kind="unstructured", body=body)).body

    def _require_text(self, tensors: Sequence[Tensor]) -> None:
        """Raises BadRequestError for prompts that are no texts."""
        prompt = self.info.inputs[0].name
        for tensor in tensors:
            if tensor.datatype != BYTES and (tensor.name == prompt or len(tensors) == 1):
                raise BadRequestError(f"input {shown(tensor.name)} is {BYTES}, not {tensor.datatype}")

    def _refuse_misfit(self, columns: Iterable[str], error: StageError) -> None:
        """Raises BadRequestError, if ``error`` has come of a request without the model's columns, or with more."""
        inputs, is_text = self.info.inputs, self._loaded.target_type.is_text
        by_model = self._loaded.framework is not None and self._structured.row_by_row
        if not inputs or not (by_model or is_text):
            return
        given = dict.fromkeys(columns)
        if len(inputs[0].shape) > 1:
            width = inputs[0].shape[1]
            if width not in (-1, len(given)):
                raise BadRequestError(f"the model takes {counted(width)}, and the request has {len(given)}") from error
            return
        wanted = dict.fromkeys([each.name for each in inputs])
        missing = [name for name in wanted if name not in given]
        if missing:
            raise BadRequestError(f"columns are missing: {listed(missing)}") from error
        more = [] if is_text else [name for name in given if name not in wanted]
        if more:
            raise BadRequestError(f"the model was not fitted with these columns: {listed(more)}") from error

    def _refuse_texts(self, tensors: Sequence[Tensor], error: StageError) -> None:
        """Raises BadRequestError, if ``error`` has come of BYTES where the metadata say numbers."""
        if self._loaded.framework is None or not self._structured.row_by_row:
            return
        numeric = {each.name: each.datatype for each in self.info.inputs if each.datatype != BYTES}
        if len(tensors) == 1 and tensors[0].datatype == BYTES and numeric:  # a table, whatever its name
            name, datatype = next(iter(numeric.items()))
            raise BadRequestError(f"input {shown(name)} is {datatype}, not BYTES") from error
        for tensor in tensors:
            if tensor.datatype == BYTES and tensor.name in numeric:
                raise BadRequestError(f"input {shown(tensor.name)} is {numeric[tensor.name]}, not BYTES") from error

    def _infer_v1(self, call: ModelCall) -> Reply:
        with step("parse"):
            instances = read_instances(call)
        target = self._loaded.target_type
        if target is TargetType.UNSTRUCTURED:
            bodies = [self._unstructured_body(raw, mimetype, call) for raw, mimetype in instances.bodies()]
            return predictions_json([as_text(body, OUTPUT) for body in bodies])
        rows = rows_call(call, instances, self._tables)
        if target is TargetType.TRANSFORM:
            return predictions_json(self._transform.transformed(rows)[0])
        try:
            return self._structured.answer_call(
                rows, lambda predictions: predictions_json(self.tensors(predictions)[0].values.tolist())
            )
        except StageError as error:
            if self._structured.row_by_row:  # read again: who fails may take longer
                self._refuse_misfit(self._structured.read(self._structured.parse(rows)).columns, error)
            raise


def _as_sent(call: ModelCall) -> Payload:
    """The body, which hooks are given besides the table."""
    body = call.body or Payload(data=b"")
    return msgspec.structs.replace(body, mimetype=JSON if call.json_size is None else BINARY_TYPE, charset=None)


def _media_type(raw: bytes) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return BINARY_TYPE
    return "text/plain"
