"""Bare spans that have ended: as they travel, and as a processor takes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec
from opentelemetry.trace import TraceFlags

if TYPE_CHECKING:
    from drum_litestar.observability.bare.tracer import BareTracer

EndedStep: TypeAlias = tuple[str, int, int, bool | None, int, int]
"""A bare span that has ended: name, id (0: any), the parent's id (0: the request's span), whether the parent is in
another process (None: there is no parent), start and end (ns since the epoch)."""

pack = msgspec.msgpack.Encoder().encode
"""A list of them, which stays as it is until the exporter's thread reads it: a sixth of the memory."""
unpack = msgspec.msgpack.Decoder(list[EndedStep]).decode


class Ended(msgspec.Struct):
    """Bare spans of one trace, as a processor takes them: in place of one span."""

    tracer: BareTracer
    trace_id: int
    flags: TraceFlags
    span_id: int
    """Of the span that they are under, or that is the topmost of them."""
    spans: list[EndedStep | bytes]
    """Bytes are packed ones."""

    context: ClassVar = SimpleNamespace(trace_flags=SimpleNamespace(sampled=True))
    """A processor looks whether it is sampled."""
