"""What the server says of itself and of its model: probes, ``/info/``, ``/capabilities/``, ``/stats/``."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Union

import msgspec
from msgspec import UNSET, UnsetType


class ProbeAnswer(msgspec.Struct):
    """The probe passes."""

    message: str
    warning: Union[str, UnsetType] = UNSET
    """What does not fail the probe, but should be looked at."""


class ModelInfo(msgspec.Struct, kw_only=True):
    """The model's part of the answer."""

    codeDir: str  # noqa: N815 - DRUM's names
    language: Optional[str]
    modelMetadata: Optional[Dict[str, Any]]  # noqa: N815
    predictor: Union[str, UnsetType, None] = UNSET
    targetType: str  # noqa: N815
    positiveClassLabel: Union[str, UnsetType] = UNSET  # noqa: N815
    negativeClassLabel: Union[str, UnsetType] = UNSET  # noqa: N815
    classLabels: Union[List[str], UnsetType] = UNSET  # noqa: N815


class Info(ModelInfo, kw_only=True):
    """The model, and the server that serves it."""

    drumServer: str  # noqa: N815
    drumVersion: str  # noqa: N815


class SupportedMethods(msgspec.Struct):
    """What else than rows the model can be asked."""

    chat: bool
    completions: Union[bool, UnsetType] = UNSET
    embeddings: Union[bool, UnsetType] = UNSET


class Capabilities(msgspec.Struct):
    """What the model can be asked."""

    supported_methods: SupportedMethods
    supported_payload_formats: Dict[str, Optional[str]]
    """Formats of rows, with the version of what reads them, where it has one."""


class ProcessUsage(msgspec.Struct):
    """One process of the server."""

    cmdline: List[str]
    cpu_percent: float
    mem: float
    """Resident memory in MiB."""
    pid: int


class MemoryUsage(msgspec.Struct):
    """Memory of the machine or container, in MiB."""

    avail: float
    container_limit: Optional[float]
    container_max_used: Optional[float]
    container_used: Optional[float]
    drum_rss: float
    """All processes of the server together."""
    free: float
    total: float


class RequestDurations(msgspec.Struct):
    """Durations of predictions since the previous report, in seconds; null without predictions, and without
    ``--show-perf``."""

    avg: Optional[float]
    max: Optional[float]
    min: Optional[float]
    total: Optional[float]


class TimeInfo(msgspec.Struct):
    """Durations."""

    run_predictor_total: RequestDurations


class Stats(msgspec.Struct):
    """Memory, processes and durations, and beside them the counters of the executor: ``executor_...``,
    ``backpressure_...``."""

    drum_info: List[ProcessUsage]
    mem_info: MemoryUsage
    time_info: TimeInfo
