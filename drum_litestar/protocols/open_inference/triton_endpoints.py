"""What Triton's tools read besides: the model's configuration and its statistics."""

from __future__ import annotations

from typing import Final

from drum_litestar.errors import UnsupportedError
from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.service import ModelService
from drum_litestar.messages.inference_messages import ModelConfig, ModelStatistics, Statistics, TensorConfig
from drum_litestar.predictors.protocol import TensorInfo
from drum_litestar.protocols.open_inference.model_endpoints import require_model, response

_TYPES: Final = {"BYTES": "TYPE_STRING"}
VERSION: Final = "1"
"""Stands for the only version where a tool needs one."""


async def config(service: ModelService, request: AnyRequest) -> AnyResponse:
    """The model's configuration. ``max_batch_size`` 0 says that shapes are whole, with the rows as a dimension."""
    name = require_model(service, request)
    info = service.card().inference
    inputs, outputs = list(map(_tensor, info.inputs)), list(map(_tensor, info.outputs))
    return response(ModelConfig(name, info.platform, "", 0, inputs, outputs))


def _tensor(info: TensorInfo) -> TensorConfig:
    return TensorConfig(info.name, _TYPES.get(info.datatype, f"TYPE_{info.datatype}"), info.shape)


async def statistics(service: ModelService, request: AnyRequest) -> AnyResponse:
    """Counts and times since the start."""
    name = require_model(service, request)
    service.executor.check_failure()
    report = service.options.inference_stats
    if report is None:
        raise UnsupportedError("no statistics are kept")
    return response(Statistics([ModelStatistics(name=name, version=VERSION, **report())]))
