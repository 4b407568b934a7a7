"""Bare spans in OTLP, by filling in a sample that the SDK's own encoder has written.

The bytes of a bare span differ from those of another of its name only in ids and times, which have fixed sizes. So the
SDK encodes one of each kind, and the others are copies of it with their own ids and times.
"""

from __future__ import annotations

import logging
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any, Callable, Final, Optional, Sequence, Tuple

from google.protobuf.empty_pb2 import Empty
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.trace import SpanContext, TraceFlags

from drum_litestar.observability.bare.ended import FIELDS, Ended, EndedStep, EndedTrace, unpack
from drum_litestar.observability.bare.tracer import RANDOM, BareTracer, SpanProvider

_log = logging.getLogger("drum.otel")

Encode = Callable[[Sequence[Any]], Any]

_SLOTS: Final = [bytes(range(first, first + size)) for first, size in ((1, 16), (17, 8), (25, 8), (33, 8), (41, 8))]
"""What a sample has in place of its ids (trace, span, parent) and times; none of them occurs twice in it."""

_SLICE: Final = 100
"""Requests that are encoded before another thread may go on: some tenths of a millisecond."""

Alike = Tuple[TraceFlags, str, Optional[bool]]
"""What spans share that differ in ids and times only: flags, name, and whether the parent is in another process."""

Columns = Tuple[Sequence[bytes], Sequence[int], Sequence[int], Sequence[int], Sequence[int]]
"""Of some spans: the trace's id, the span's and its parent's, start and end."""


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
            encode([Ended(provider.own, [(1, TraceFlags(flags), 1, spans)])])
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
        """A message whose serialized form is that of the ``ExportTraceServiceRequest``."""
        senders: defaultdict[BareTracer, list[EndedTrace]] = defaultdict(list)
        others = []
        for item in batch:
            if type(item) is Ended:
                item.tracer.taken(item)
                senders[item.tracer] += item.traces
            else:
                others.append(item)
        if not senders:
            return self._encode(others)
        messages = [self._message(tracer, traces) for tracer, traces in senders.items()]
        if others:
            messages.append(self._encode(others).SerializeToString())
        return Empty.FromString(b"".join(messages))  # to it, all is unknown fields, which it neither reads nor changes

    def _message(self, tracer: BareTracer, batch: list[EndedTrace]) -> bytes:
        """The message of spans that ``tracer`` made."""
        columns: defaultdict[Alike, tuple[list[Any], ...]] = defaultdict(lambda: ([], [], [], [], []))
        for start in range(0, len(batch), _SLICE):
            time.sleep(0)  # lets the event loop have the interpreter, for which it would wait 5 ms otherwise
            for alike, some in _in_columns(batch[start : start + _SLICE], tracer.random_ids):
                for column, more in zip(columns[alike], some):
                    column.extend(more)
        written = []
        for alike, whole in columns.items():
            time.sleep(0)
            known = (tracer, *alike)
            if known not in self._kinds:
                self._kinds[known] = _Kind(self._encode, *known)
            kind = self._kinds[known]
            written.append(kind.write(*whole))
        return kind.message(b"".join(written))


def _in_columns(batch: list[EndedTrace], random_ids: Callable[[int], Sequence[int]]) -> Iterator[tuple[Alike, Columns]]:
    """The spans of some requests. Those of requests with the same spans are taken apart together, in C."""
    shapes: defaultdict[tuple[Any, ...], list[list[Any]]] = defaultdict(list)
    for trace_id, flags, top, spans in batch:
        row: list[Any] = [trace_id.to_bytes(16, "big"), top]
        for some in spans:
            row += chain.from_iterable(unpack(some)) if isinstance(some, bytes) else some
        shape = flags, *row[2::FIELDS], *row[5::FIELDS]  # names, and whether their parents are remote
        shapes[shape].append(row)
    for (flags, *_), rows in shapes.items():
        trace_ids, tops, *fields = zip(*rows)
        for place in range(0, len(fields), FIELDS):
            names, ids, parents, remotes, starts, ends = fields[place : place + FIELDS]
            ids = tuple(given or drawn for given, drawn in zip(ids, random_ids(len(ids))))
            parents = tuple(given or top for given, top in zip(parents, tops))
            yield (flags, names[0], remotes[0]), (trace_ids, ids, parents, starts, ends)


class _Kind:
    """What bare spans with the same name, and parents alike, have in common."""

    def __init__(self, encode: Encode, tracer: BareTracer, flags: TraceFlags, name: str, remote: bool | None) -> None:
        """``remote``: whether the parent is; None when there is none."""
        trace_id, span_id, above = (int.from_bytes(slot, "big") for slot in _SLOTS[:3])
        start, end = (int.from_bytes(slot, "little") for slot in _SLOTS[3:])
        parent = None if remote is None else SpanContext(trace_id, above, remote, flags)
        sample = tracer.sample(name, SpanContext(trace_id, span_id, False, flags), parent, start)
        sample.end(end)
        sender = encode([sample]).resource_spans[0]
        scope = sender.scope_spans[0]
        self._sample: bytes = type(scope)(spans=scope.spans).SerializeToString()
        del scope.spans[:]
        self._scope: bytes = scope.SerializeToString()
        del sender.scope_spans[:]
        self._sender: bytes = sender.SerializeToString()
        self._places = [self._sample.find(slot) for slot in _SLOTS]
        if [self._sample.count(slot) for slot in _SLOTS] != [1, 1, parent is not None, 1, 1]:
            raise ValueError("the exporter's spans are unlike those that can be copied")

    def message(self, spans: bytes) -> bytes:
        """The whole message with ``spans``, those of this sender."""
        return _field(1, self._sender + _field(2, self._scope + spans))  # resource_spans, its scope_spans

    def write(self, trace_ids: Sequence[bytes], *columns: Sequence[int]) -> bytes:
        """Some of a scope's spans, as protobuf, from their :data:`Columns`.

        All are written at once, column by column: the first byte of every trace id, then the second, ...
        """
        count, size = len(trace_ids), len(self._sample)
        orders = (">", ">", "<", "<")
        slots = [b"".join(trace_ids)]
        slots += [struct.pack(f"{order}{count}Q", *column) for order, column in zip(orders, columns)]
        spans = bytearray(self._sample * count)
        for place, slot in zip(self._places, slots):
            width = len(slot) // count
            for byte in range(width if place >= 0 else 0):
                spans[place + byte :: size] = slot[byte::width]
        return bytes(spans)


def _field(number: int, value: bytes) -> bytes:
    """A field of a protobuf message that is a message itself: its key, its length, itself."""
    head, length = [number << 3 | 2], len(value)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + value
