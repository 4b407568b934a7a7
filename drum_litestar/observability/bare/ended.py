"""Bare spans that have ended: as they travel, and as a processor takes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar, Final, List, Optional, Tuple, Union

import msgspec
from opentelemetry.trace import TraceFlags

if TYPE_CHECKING:
    from drum_litestar.observability.bare.tracer import BareTracer

EndedStep = Tuple[str, int, int, Optional[bool], int, int]
"""A bare span that has ended: name, id (0: any), the parent's id (0: the request's span), whether the parent is in
another process (None: there is no parent), start and end (ns since the epoch)."""

FIELDS: Final = 6
"""Of an ``EndedStep``."""

pack = msgspec.msgpack.Encoder().encode
"""A list of them, which stays as it is until the exporter's thread reads it: a sixth of the memory."""
unpack = msgspec.msgpack.Decoder(List[EndedStep]).decode

EndedTrace = Tuple[int, TraceFlags, int, List[Union[EndedStep, bytes]]]
"""Bare spans of one trace that leave together: its id and flags, the id of the span that they are under, or that is
the topmost of them, and the spans. Bytes are packed ones."""


class Ended(msgspec.Struct):
    """Bare spans of some requests, as a processor takes them: in place of one span."""

    tracer: BareTracer
    traces: list[EndedTrace]
    """It may grow until an exporter takes it (``BareTracer.taken``)."""

    context: ClassVar = SimpleNamespace(trace_flags=SimpleNamespace(sampled=True))
    """A processor looks whether it is sampled."""
