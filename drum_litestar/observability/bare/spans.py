"""Bare spans, while they last."""

from __future__ import annotations

import time
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from drum_litestar.observability.bare.ended import EndedStep
from drum_litestar.observability.tracing.request_span import traceparent

if TYPE_CHECKING:
    from drum_litestar.observability.bare.tracer import BareTracer


def _nanoseconds(moment: Any) -> int:
    """``moment`` as OTLP can carry it, whatever a hook thinks that a time is; else the present."""
    try:
        time_ns = int(moment)
    except (TypeError, ValueError, OverflowError):
        time_ns = 0
    return time_ns if 0 < time_ns < 2**64 else time.time_ns()


class BareSpan(Span):
    """A name, a parent and two times (ns since the epoch), until more is asked of it.

    Then :attr:`full`, a span of the SDK with the same ids, takes its place. Threads may do that at the same time.
    """

    def __init__(
        self,
        tracer: BareTracer,
        name: str,
        trace_id: int,
        flags: TraceFlags,
        parent: SpanContext | None,
        start_time: int | None = None,
        span_id: int = 0,
    ) -> None:
        self._tracer = tracer
        self.name = name
        self._trace_id = trace_id
        self._span_id = span_id or tracer.random_id()
        self._flags = flags
        if parent is not None:
            self.parent = parent
            self._above = parent.span_id, parent.is_remote
        self.start_time = start_time or time.time_ns()
        self.ended = []

    parent: SpanContext | None = None
    _above: tuple[int, bool | None] = 0, None
    _end_time = 0
    _full: Span | None = None
    _leads = True
    """Hands on what has ended under it."""

    @property
    def traceparent(self) -> str:
        """The header of W3C trace context, without making a span context."""
        return traceparent(self._trace_id, self._span_id, self._flags)

    def get_span_context(self) -> SpanContext:
        return SpanContext(self._trace_id, self._span_id, False, self._flags)

    @property
    def full(self) -> Span:
        """The SDK's span. After the end it can only be read."""
        with self._tracer.growing:
            if self._full is None:
                own = self.get_span_context()
                if self._end_time:
                    self._full = self._tracer.sample(self.name, own, self.parent, self.start_time)
                    self._full.end(self._end_time)
                else:
                    self._full = self._tracer.full(self.name, own, self.parent, self.start_time)
            return self._full

    def __getattr__(self, name: str) -> Any:
        """What the SDK's spans have beyond the API's, for hooks that read it."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.full, name)

    def is_recording(self) -> bool:
        return not self._end_time

    def end(self, end_time: int | None = None) -> None:
        with self._tracer.growing:
            if self._end_time:
                return
            self._end_time = time.time_ns() if end_time is None else _nanoseconds(end_time)
            full = self._full
        if full is None:
            self.ended.append((self.name, self._span_id, *self._above, self.start_time, self._end_time))
        else:
            full.end(self._end_time)
        if self._leads:
            ended = self.ended
            del self.ended
            if ended:
                self._tracer.hand_on((self._trace_id, self._flags, self._span_id, ended))

    @cached_property
    def ended(self) -> Any:
        """Takes what ends under this span, with ``append``: an ``EndedStep`` or packed ones."""
        return _Late(self._tracer, self.get_span_context())  # for spans that end after this one

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.full.set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        if attributes:
            self.full.set_attributes(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        self.full.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        self.full.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.full.update_name(name)
        self.name = name

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.full.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self.full.record_exception(exception, attributes, timestamp, escaped)


class DroppedSpan(NonRecordingSpan):
    """One that is not sampled. It has what carries its context on, and forgets what ends under it."""

    def __init__(self, trace_id: int, span_id: int, flags: TraceFlags) -> None:
        self._ids = trace_id, span_id, flags

    ended: ClassVar[Any] = deque(maxlen=0)

    @property
    def traceparent(self) -> str:
        """As that of a bare span."""
        return traceparent(*self._ids)

    @cached_property
    def _context(self) -> SpanContext:  # type: ignore[override]
        trace_id, span_id, flags = self._ids
        return SpanContext(trace_id, span_id, False, flags)


class _Late(msgspec.Struct):
    """Hands on alone what ends under a span after it."""

    tracer: BareTracer
    above: SpanContext

    def append(self, steps: EndedStep | bytes) -> None:
        self.tracer.steps_ended(self.above, steps)
