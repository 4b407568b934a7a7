"""Bare spans: while they last, and as a processor takes them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from drum_litestar.observability.steps import Step, mark_failed

if TYPE_CHECKING:
    from drum_litestar.observability.bare.tracer import BareTracer

Bare = tuple[str, int, int, bool, int, int]
"""Name, id (0: any), the parent's id (0: none) and whether it is remote, start and end (ns since the epoch)."""


class Ended:
    """Bare spans of one trace, as a processor takes them: in place of one span."""

    context: Final = SpanContext(1, 1, False, TraceFlags(TraceFlags.SAMPLED))
    """A processor looks whether it is sampled."""

    def __init__(self, tracer: BareTracer, trace_id: int, flags: TraceFlags, spans: list[Bare]) -> None:
        self.tracer = tracer
        self.trace_id = trace_id
        self.flags = flags
        self.spans = spans


class BareSpan(Span):
    """A name, a parent and two times (ns since the epoch), until somebody wants more.

    Then :attr:`full`, a span of the SDK with the same ids, takes its place. Threads may do that at the same time.
    """

    def __init__(
        self,
        tracer: BareTracer,
        name: str,
        trace_id: int,
        flags: TraceFlags,
        parent: SpanContext | None,
        start_time: int | None,
        together_with: list[Bare] | None = None,
    ) -> None:
        """``together_with``: where its end, if it stays bare, waits for other spans' ends."""
        self._tracer = tracer
        self.name = name
        self._trace_id = trace_id
        self._span_id = tracer.random_id()
        self._flags = flags
        self.parent = parent
        self.start_time = start_time or time.time_ns()
        self._end_time = 0
        self._children: list[Bare] = []
        self._together_with = together_with
        self._full: Span | None = None

    @property
    def traceparent(self) -> str:
        """The header of W3C trace context."""
        return f"00-{self._trace_id:032x}-{self._span_id:016x}-{self._flags:02x}"

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

    def child(self, name: str, start_time: int, end_time: int) -> None:
        """Add a bare span that has ended."""
        span = (name, 0, self._span_id, False, start_time, end_time)
        if self._end_time:
            self._tracer.on_end(Ended(self._tracer, self._trace_id, self._flags, [span]))
        else:
            self._children.append(span)

    def end(self, end_time: int | None = None) -> None:
        with self._tracer.growing:
            if self._end_time:
                return
            self._end_time = end_time or time.time_ns()
            full = self._full
        spans = self._children
        if full is not None:
            full.end(self._end_time)
        else:
            parent = self.parent
            above, remote = (0, False) if parent is None else (parent.span_id, parent.is_remote)
            spans.append((self.name, self._span_id, above, remote, self.start_time, self._end_time))
        if self._together_with is not None:
            self._together_with += spans
        elif spans:
            self._tracer.on_end(Ended(self._tracer, self._trace_id, self._flags, spans))

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


class BareCall:
    """The steps of one call in a model worker, whose bare spans leave together."""

    def __init__(self, tracer: BareTracer, request: SpanContext) -> None:
        """``request``: the request's span, which is in the HTTP process."""
        self.tracer = tracer
        self.request = request
        self.ended: list[Bare] = []

    def context(self) -> Context:
        """The context of the call, in which the request's span is current."""
        return trace.set_span_in_context(NonRecordingSpan(self.request), Context())

    def step(self, name: str, hooks: bool) -> AbstractContextManager[Any]:
        """Around a step, in which hooks may run."""
        return Step(self.span(name)) if hooks else _StepWithoutHooks(self, name)

    def span(self, name: str, start_time: int | None = None) -> BareSpan:
        """A child of the current span."""
        parent, request = trace.get_current_span().get_span_context(), self.request
        return BareSpan(self.tracer, name, request.trace_id, request.trace_flags, parent, start_time, self.ended)

    def answered(self) -> None:
        """The call has been answered, or has failed."""
        ended, self.ended = self.ended, []
        if ended:
            self.tracer.on_end(Ended(self.tracer, self.request.trace_id, self.request.trace_flags, ended))


class _StepWithoutHooks:
    """A step of the call itself, in which nobody asks for the current span."""

    def __init__(self, call: BareCall, name: str) -> None:
        self._call = call
        self._name = name

    def __enter__(self) -> None:
        self._start = time.time_ns()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            span = self._call.span(self._name, self._start)
            mark_failed(span, error)
            span.end()
            return
        call = self._call
        call.ended.append((self._name, 0, call.request.span_id, True, self._start, time.time_ns()))
