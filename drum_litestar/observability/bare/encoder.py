"""Bare spans in OTLP, by filling in a sample that the SDK's own encoder has written.

The bytes of a bare span differ from those of another of its name only in ids and times, which have fixed sizes. So the
SDK encodes one of each kind, and the others are copies of it with their own ids and times.
"""

from __future__ import annotations

import logging
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.trace import SpanContext, TraceFlags

from drum_litestar.observability.bare.ended import Ended, EndedStep, unpack
from drum_litestar.observability.bare.tracer import RANDOM, BareTracer, SpanProvider

_log = logging.getLogger("drum.otel")

Encode = Callable[[Sequence[Any]], Any]

_SLOTS: Final = [bytes(range(first, first + size)) for first, size in ((1, 16), (17, 8), (25, 8), (33, 8), (41, 8))]
"""What a sample has in place of its ids (trace, span, parent) and times; none of them occurs twice in it."""

_PATIENCE: Final = 50
"""Requests that are encoded before another thread may go on: some tenths of a millisecond."""

Row = tuple[bytes, int, int, int, int]
"""The trace's id, the span's and its parent's, start and end."""


def install(provider: SpanProvider) -> None:
    """Let the SDK's OTLP/HTTP exporter write the bare spans of ``provider``.

    It is tried first. If the installed SDK is unlike all known ones, ``provider`` leaves its spans to the SDK.
    """
    try:
        encode = trace_exporter.encode_spans
        if not isinstance(encode, BareEncoder):
            encode = BareEncoder(encode)
        for flags in (TraceFlags.SAMPLED, TraceFlags.SAMPLED | RANDOM):
            spans: list[EndedStep | bytes] = [("model", 0, 0, remote, 1, 1) for remote in (None, False, True)]
            encode([Ended(provider.own, 1, TraceFlags(flags), 1, spans)])
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
        self._kinds: dict[tuple[BareTracer, TraceFlags, str, bool | None], _Kind] = {}

    def __call__(self, batch: Sequence[Any]) -> Any:
        senders: defaultdict[BareTracer, list[Ended]] = defaultdict(list)
        others = []
        for item in batch:
            if type(item) is Ended:
                senders[item.tracer].append(item)
            else:
                others.append(item)
        messages = [self._message(ended) for ended in senders.values()]
        if others or not messages:
            messages.append(self._encode(others))
        request, *rest = messages
        for message in rest:
            request.MergeFrom(message)
        return request

    def _message(self, batch: list[Ended]) -> Any:
        """The message of spans that one tracer made."""
        rows: defaultdict[tuple[TraceFlags, str, bool | None], list[Row]] = defaultdict(list)
        tracer = batch[0].tracer
        for number, ended in enumerate(batch):
            if number % _PATIENCE == 0:
                time.sleep(0)  # lets the event loop have the interpreter, for which it would wait 5 ms otherwise
            flags, trace_id = ended.flags, ended.trace_id.to_bytes(16, "big")
            for some in ended.spans:
                steps = unpack(some) if isinstance(some, bytes) else [some]
                for name, span_id, parent, remote, start, end in steps:
                    row = trace_id, span_id or tracer.random_id(), parent or ended.span_id, start, end
                    rows[flags, name, remote].append(row)
        written = []
        for key, alike in rows.items():
            time.sleep(0)
            known = (tracer, *key)
            if known not in self._kinds:
                self._kinds[known] = _Kind(self._encode, *known)
            kind = self._kinds[known]
            written.append(kind.write(alike))
        request = type(kind.frame)()
        request.CopyFrom(kind.frame)
        request.resource_spans[0].scope_spans[0].MergeFromString(b"".join(written))
        return request


class _Kind:
    """What bare spans with the same name, and parents alike, have in common."""

    def __init__(self, encode: Encode, tracer: BareTracer, flags: TraceFlags, name: str, remote: bool | None) -> None:
        """``remote``: whether the parent is; None when there is none."""
        trace_id, span_id, above = (int.from_bytes(slot, "big") for slot in _SLOTS[:3])
        start, end = (int.from_bytes(slot, "little") for slot in _SLOTS[3:])
        parent = None if remote is None else SpanContext(trace_id, above, remote, flags)
        sample = tracer.sample(name, SpanContext(trace_id, span_id, False, flags), parent, start)
        sample.end(end)
        self.frame = encode([sample])
        """The message without spans: who sends them."""
        scope = self.frame.resource_spans[0].scope_spans[0]
        self._sample: bytes = type(scope)(spans=scope.spans).SerializeToString()
        del scope.spans[:]
        self._places = [self._sample.find(slot) for slot in _SLOTS]
        if [self._sample.count(slot) for slot in _SLOTS] != [1, 1, parent is not None, 1, 1]:
            raise ValueError("the exporter's spans are unlike those that can be copied")

    def write(self, rows: list[Row]) -> bytes:
        """Some of a scope's spans, as protobuf.

        All are written at once, column by column: the first byte of every trace id, then the second, ...
        """
        trace_ids, *columns = zip(*rows, strict=True)
        count, size = len(rows), len(self._sample)
        orders = (">", ">", "<", "<")
        slots = [b"".join(trace_ids)]
        slots += [struct.pack(f"{order}{count}Q", *column) for order, column in zip(orders, columns, strict=True)]
        spans = bytearray(self._sample * count)
        for place, slot in zip(self._places, slots, strict=True):
            width = len(slot) // count
            for byte in range(width if place >= 0 else 0):
                spans[place + byte :: size] = slot[byte::width]
        return bytes(spans)
