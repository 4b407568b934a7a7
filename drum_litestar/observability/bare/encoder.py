"""Bare spans in OTLP, by filling in a sample that the SDK's own encoder has written.

The bytes of a bare span differ from those of another of its name only in ids and times, which have fixed sizes. So the
SDK encodes one of each kind, and the others are copies of it with their own ids and times.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.trace import SpanContext, TraceFlags

from drum_litestar.observability.bare.spans import Bare, Ended
from drum_litestar.observability.bare.tracer import RANDOM, BareTracer, SpanProvider

_log = logging.getLogger("drum.otel")

Encode = Callable[[Sequence[Any]], Any]

_TRACE, _SPAN, _PARENT = (bytes(range(first, first + size)) for first, size in ((1, 16), (17, 8), (25, 8)))
_START, _END = (bytes(range(first, first + 8)) for first in (33, 41))
_SLOTS: Final = {_TRACE: "16s", _SPAN: "8s", _PARENT: "8s", _START: "Q", _END: "Q"}
"""What a sample has in place of ids and times; none of them occurs twice in it."""


def install(provider: SpanProvider) -> None:
    """Let the SDK's OTLP/HTTP exporter write the bare spans of ``provider``.

    It is tried first. If the installed SDK is unlike all known ones, ``provider`` leaves its spans to the SDK.
    """
    try:
        encode = trace_exporter.encode_spans
        if not isinstance(encode, BareEncoder):
            encode = BareEncoder(encode)
        for flags in (TraceFlags.SAMPLED, TraceFlags.SAMPLED | RANDOM):
            spans: list[Bare] = [("model", 0, *parent, 1, 1) for parent in ((0, False), (1, False), (1, True))]
            encode([Ended(provider.own, 1, TraceFlags(flags), spans)])
        trace_exporter.encode_spans = encode
    except Exception as error:
        provider.own.bare = False
        _log.warning(
            "Spans are made and sent by OpenTelemetry's SDK alone, which takes several times the CPU: %s", error
        )


class BareEncoder:
    """Makes a batch's protobuf message, ``ExportTraceServiceRequest``. ``encode`` is the SDK's."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._kinds: dict[tuple[BareTracer, TraceFlags, str, bool, bool], _Kind] = {}

    def __call__(self, batch: Sequence[Any]) -> Any:
        request = self._encode([span for span in batch if type(span) is not Ended])
        senders: dict[BareTracer, list[Ended]] = {}
        for ended in batch:
            if type(ended) is Ended:
                senders.setdefault(ended.tracer, []).append(ended)
        for ended_there in senders.values():
            request.MergeFrom(self._message(ended_there))
        return request

    def _message(self, batch: list[Ended]) -> Any:
        """The message of spans that one tracer made."""
        written: list[bytes] = []
        frame: Any = None
        for ended in batch:
            trace_id = ended.trace_id.to_bytes(16, "big")
            for name, span_id, parent, remote, start, end in ended.spans:
                key = (ended.tracer, ended.flags, name, parent == 0, remote)
                kind = self._kinds.get(key)
                if kind is None:
                    kind = self._kinds[key] = _Kind(self._encode, *key)
                frame = kind.frame
                written.append(kind.write(trace_id, span_id or ended.tracer.random_id(), parent, start, end))
        request = type(frame)()
        request.CopyFrom(frame)
        request.resource_spans[0].scope_spans[0].MergeFromString(b"".join(written))
        return request


class _Kind:
    """What bare spans with the same name, and parents alike, have in common."""

    def __init__(
        self, encode: Encode, tracer: BareTracer, flags: TraceFlags, name: str, is_root: bool, remote: bool
    ) -> None:
        trace_id = int.from_bytes(_TRACE, "big")
        own = SpanContext(trace_id, int.from_bytes(_SPAN, "big"), False, flags)
        parent = None if is_root else SpanContext(trace_id, int.from_bytes(_PARENT, "big"), remote, flags)
        sample = tracer.sample(name, own, parent, int.from_bytes(_START, "little"))
        sample.end(int.from_bytes(_END, "little"))
        self.frame = encode([sample])
        """The message without spans: who sends them."""
        scope = self.frame.resource_spans[0].scope_spans[0]
        sampled = rest = type(scope)(spans=scope.spans).SerializeToString()
        del scope.spans[:]
        layout, self._pieces = "<", []
        for slot, size in _SLOTS.items():
            if slot is _PARENT and is_root:
                continue
            piece, _, rest = rest.partition(slot)
            layout += f"{len(piece)}s{size}"
            self._pieces.append(piece)
        self._pieces.append(rest)
        self._pack = struct.Struct(f"{layout}{len(rest)}s").pack
        times = (int.from_bytes(value, "little") for value in (_START, _END))
        if self.write(_TRACE, own.span_id, 0 if parent is None else parent.span_id, *times) != sampled:
            raise ValueError("the exporter's spans are unlike those that can be copied")

    def write(self, trace_id: bytes, span_id: int, parent: int, start: int, end: int) -> bytes:
        """One of a scope's spans, as protobuf."""
        own = span_id.to_bytes(8, "big")
        if not parent:
            a, b, d, e, f = self._pieces
            return self._pack(a, trace_id, b, own, d, start, e, end, f)
        a, b, c, d, e, f = self._pieces
        return self._pack(a, trace_id, b, own, c, parent.to_bytes(8, "big"), d, start, e, end, f)
