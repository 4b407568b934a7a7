"""Messages of the Open Inference Protocol, V2 and V1, and of Triton's extensions."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

import msgspec
from msgspec import UNSET, UnsetType

Parameters = Optional[Dict[str, Any]]
Parameter = Union[str, int, float, bool, None]


def _no_data() -> msgspec.Raw:
    return msgspec.Raw(b"")


class InputTensor(msgspec.Struct):
    """A tensor that is sent: as ``data`` in rows, nested or flat, or as ``binary_data_size`` bytes after the JSON."""

    name: str
    shape: List[int]
    datatype: str
    parameters: Parameters = None
    data: msgspec.Raw = msgspec.field(default_factory=_no_data)


class WantedOutput(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: Parameters = None


class InferenceRequest(msgspec.Struct):
    """Tensors for the model. Without ``outputs`` all are answered."""

    inputs: List[InputTensor]
    id: Optional[str] = None
    parameters: Parameters = None
    outputs: Optional[List[WantedOutput]] = None


class OutputTensor(msgspec.Struct, omit_defaults=True):
    """A tensor of the answer; ``data`` is flat."""

    name: str
    datatype: str
    shape: Sequence[int]
    parameters: Parameters = None
    data: Optional[List[Any]] = None


class InferenceResponse(msgspec.Struct, omit_defaults=True):
    """The model's answer."""

    model_name: str
    outputs: List[OutputTensor]
    id: Optional[str] = None


class GenerateRequest(msgspec.Struct):
    """A prompt. Parameters are further columns of its row."""

    text_input: str
    id: Optional[str] = None
    parameters: Optional[Dict[str, Parameter]] = None


class GenerateResponse(msgspec.Struct, kw_only=True):
    """The generated text, or the next piece of it."""

    id: Union[str, UnsetType] = UNSET
    model_name: str
    text_output: str


class InstancesRequest(msgspec.Struct):
    """Rows: each an object, a list of cells, or one cell."""

    instances: List[msgspec.Raw]


class InstancesResponse(msgspec.Struct):
    """A prediction for each instance."""

    predictions: List[Any]


class ServerMetadata(msgspec.Struct):
    """The server."""

    name: str
    version: str
    extensions: Sequence[str]


class ServerLive(msgspec.Struct):
    """The process is alive."""

    live: bool


class ServerReady(ServerLive):
    """A call would be served now."""

    ready: bool


class ModelNames(msgspec.Struct):
    """The models' names."""

    models: List[str]


class TensorMetadata(msgspec.Struct):
    """An input or output. -1 in ``shape`` is a free dimension. Class labels are in ``parameters``."""

    name: str
    datatype: str
    shape: Sequence[int]
    parameters: Union[Dict[str, Sequence[str]], UnsetType] = UNSET


class ModelMetadata(msgspec.Struct):
    """The model. Inputs are empty where nothing tells them."""

    name: str
    platform: str
    inputs: List[TensorMetadata]
    outputs: List[TensorMetadata]


class ModelReady(msgspec.Struct):
    """Whether a call would be served now."""

    name: str
    ready: bool


class TensorConfig(msgspec.Struct):
    """An input or output, in Triton's words."""

    name: str
    data_type: str
    dims: Sequence[int]


class ModelConfig(msgspec.Struct):
    """The model's configuration. ``max_batch_size`` 0 says that shapes are whole, with the rows as a dimension."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: List[TensorConfig]
    output: List[TensorConfig]


class StatisticDuration(msgspec.Struct):
    """A number of events, and their time together in nanoseconds."""

    count: int
    ns: int


class InferenceDurations(msgspec.Struct):
    """The protocol's requests, and the waits and computations of all calls."""

    success: StatisticDuration
    fail: StatisticDuration
    queue: StatisticDuration
    compute_infer: StatisticDuration
    compute_input: StatisticDuration
    compute_output: StatisticDuration
    cache_hit: StatisticDuration
    cache_miss: StatisticDuration


class ModelStatistics(msgspec.Struct, kw_only=True):
    """Counts and times of the model since the start."""

    name: str
    version: str
    last_inference: int
    """Milliseconds since the epoch; 0 before the first request."""
    inference_count: int
    execution_count: int
    inference_stats: InferenceDurations
    batch_stats: List[Any]


class Statistics(msgspec.Struct):
    """Of each model."""

    model_stats: List[ModelStatistics]


class IndexRequest(msgspec.Struct):
    """Which models are wanted."""

    ready: bool = False
    """Only those that are ready."""


class IndexEntry(msgspec.Struct):
    """A model of the repository: READY, LOADING or UNAVAILABLE."""

    name: str
    state: str
    reason: str


class ModelLoaded(msgspec.Struct):
    """The model has been loaded again."""

    name: str
    load: bool
