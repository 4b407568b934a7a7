"""What the Open Inference Protocol's metadata says of a model: its inputs and outputs.

Columns come from the fitted model, from an ONNX graph, or from ``typeSchema`` in ``model-metadata.yaml``. Where nothing
tells them there are no inputs: none is better than wrong ones.
"""

from __future__ import annotations

from typing import Any, Final, Tuple

from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.example_row import fitted_names, hides_columns, row_of_model, row_of_schema
from drum_litestar.predictors.native.open_inference.tensors import BYTES, FP64
from drum_litestar.predictors.protocol import InferenceInfo, TargetType, TensorInfo

OUTPUT: Final = "predictions"
"""The output of all models but transforms, which have one for each column."""
INPUT: Final = "input"
"""The input of a model whose columns have no names, or that takes a body."""
_FREE: Final = -1
_ONNX_TYPES: Final = {"tensor(float)": "FP32", "tensor(double)": FP64, "tensor(int64)": "INT64"}

Tensors = Tuple[TensorInfo, ...]


def inference_info(loaded: LoadedModel) -> InferenceInfo:
    """The metadata of ``loaded``. Never raises."""
    name = "custom" if loaded.framework is None else loaded.framework.name
    try:
        inputs = _inputs(loaded)
    except Exception:  # any object may be a model, and have attributes of any names
        inputs = ()
    return InferenceInfo(f"drum_{name}", inputs, _outputs(loaded))


def _inputs(loaded: LoadedModel) -> Tensors:
    if loaded.target_type is TargetType.UNSTRUCTURED:
        return (TensorInfo(INPUT, BYTES, (1,)),)
    if loaded.target_type.is_text:
        return (TensorInfo(loaded.prompt_column, BYTES, (_FREE,)),)
    if hides_columns(loaded):
        return ()
    if loaded.framework is not None and loaded.framework.name == "onnx":
        return _of_graph(loaded.model)
    row = row_of_model(loaded.model)
    types = [_datatype(value) for _, value in row]
    if row and fitted_names(loaded.model):
        return tuple([TensorInfo(name, datatype, (_FREE,)) for (name, _), datatype in zip(row, types)])
    types = types or [_datatype(value) for _, value in row_of_schema(loaded.metadata)]
    return (TensorInfo(INPUT, types[0], (_FREE, len(types))),) if len(set(types)) == 1 else ()


def _of_graph(session: Any) -> Tensors:
    """The first input, which the model gets as one array of rows."""
    first = session.get_inputs()[0]
    width = first.shape[1] if len(first.shape) == 2 and isinstance(first.shape[1], int) else _FREE
    return (TensorInfo(first.name, _ONNX_TYPES.get(first.type, "FP32"), (_FREE, width)),)


def _datatype(value: str) -> str:
    """That of a column with this typical value."""
    try:
        float(value)
    except ValueError:
        return BYTES
    return FP64


def _outputs(loaded: LoadedModel) -> Tensors:
    target = loaded.target_type
    if target is TargetType.TRANSFORM:
        return ()
    if target is TargetType.UNSTRUCTURED:
        return (TensorInfo(OUTPUT, BYTES, (1,)),)
    if target.keeps_values:
        return (TensorInfo(OUTPUT, BYTES, (_FREE,)),)
    if target.is_classification and loaded.labels is not None:
        return (TensorInfo(OUTPUT, FP64, (_FREE, len(loaded.labels)), loaded.labels),)
    return (TensorInfo(OUTPUT, FP64, (_FREE,)),)
