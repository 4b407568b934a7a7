"""Bare spans: while they last, and as a processor takes them."""

from __future__ import annotations

import time
from abc import abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from drum_litestar.observability.steps import mark_failed

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


class _Open(Span):
    """A span that asks the SDK for one in its place as soon as somebody wants more than ids and times."""

    @property
    @abstractmethod
    def full(self) -> Span:
        """The SDK's span."""

    def __getattr__(self, name: str) -> Any:
        """What the SDK's spans have beyond the API's, for hooks that read it."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.full, name)

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


class BareSpan(_Open):
    """A span from :meth:`BareTracer.start_span`. Times are nanoseconds since the epoch."""

    def __init__(
        self,
        tracer: BareTracer,
        name: str,
        trace_id: int,
        flags: TraceFlags,
        parent: SpanContext | None,
        start_time: int | None,
    ) -> None:
        self._tracer = tracer
        self.name = name
        self._trace_id = trace_id
        self._span_id = tracer.random_id()
        self._flags = flags
        self.parent = parent
        self.start_time = start_time or time.time_ns()
        self._ended = False
        self._children: list[Bare] = []
        self._full: Span | None = None

    @property
    def traceparent(self) -> str:
        """The header of W3C trace context."""
        return f"00-{self._trace_id:032x}-{self._span_id:016x}-{self._flags:02x}"

    def get_span_context(self) -> SpanContext:
        return SpanContext(self._trace_id, self._span_id, False, self._flags)

    @property
    def full(self) -> Span:
        if self._full is None:
            own = self.get_span_context()
            too_late = self._ended
            self._full = (
                NonRecordingSpan(own) if too_late else self._tracer.full(self.name, own, self.parent, self.start_time)
            )
        return self._full

    def is_recording(self) -> bool:
        return not self._ended

    def child(self, name: str, start_time: int, end_time: int) -> None:
        """Add a bare span that has ended."""
        span = (name, 0, self._span_id, False, start_time, end_time)
        if self._ended:
            self._tracer.on_end(Ended(self._tracer, self._trace_id, self._flags, [span]))
        else:
            self._children.append(span)

    def end(self, end_time: int | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        if self._full is None:
            parent = self.parent
            above, remote = (0, False) if parent is None else (parent.span_id, parent.is_remote)
            now = end_time or time.time_ns()
            self._children.append((self.name, self._span_id, above, remote, self.start_time, now))
        else:
            self._full.end(end_time)
        if self._children:
            self._tracer.on_end(Ended(self._tracer, self._trace_id, self._flags, self._children))


class BareSteps(_Open):
    """The steps of one call in a model worker; as a span, the one that is being taken.

    So one context serves the whole call. Between steps it is the request's span, which lives in the HTTP process.
    """

    def __init__(self, tracer: BareTracer, trace_id: int, request: int, flags: TraceFlags) -> None:
        self.tracer = tracer
        self.trace_id = trace_id
        self.request = request
        self.flags = flags
        self.ended: list[Bare] = []
        self.current: BareStep | None = None

    def step(self, name: str) -> BareStep:
        """The step ``name``, for ``with``."""
        return BareStep(self, name)

    @property
    def full(self) -> Span:
        step = self.current
        return NonRecordingSpan(self.get_span_context()) if step is None else step.full

    def get_span_context(self) -> SpanContext:
        step = self.current
        if step is None:
            return SpanContext(self.trace_id, self.request, True, self.flags)
        return SpanContext(self.trace_id, step.span_id, False, self.flags)

    def is_recording(self) -> bool:
        return self.current is not None

    def end(self, end_time: int | None = None) -> None:
        """Nothing: a hook that ends what it has not begun must not end the call's spans."""

    def answered(self) -> None:
        """The call has been answered, or has failed."""
        if self.ended:
            self.tracer.on_end(Ended(self.tracer, self.trace_id, self.flags, self.ended))


class BareStep:
    """One step of a call: a context manager."""

    __slots__ = ("_full", "_id", "_name", "_outer", "_start", "_steps")

    def __init__(self, steps: BareSteps, name: str) -> None:
        self._steps = steps
        self._name = name
        self._id = 0
        self._full: Span | None = None

    @property
    def span_id(self) -> int:
        """Chosen when somebody asks."""
        if not self._id:
            self._id = self._steps.tracer.random_id()
        return self._id

    @property
    def full(self) -> Span:
        """The SDK's span that has taken this one's place."""
        if self._full is None:
            steps, outer = self._steps, self._outer
            own = SpanContext(steps.trace_id, self.span_id, False, steps.flags)
            above = steps.request if outer is None else outer.span_id
            parent = SpanContext(steps.trace_id, above, outer is None, steps.flags)
            self._full = steps.tracer.full(self._name, own, parent, self._start)
        return self._full

    def __enter__(self) -> BareSteps:
        steps = self._steps
        self._outer = steps.current
        steps.current = self
        self._start = time.time_ns()
        return steps

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            mark_failed(self.full, error)
        steps, outer = self._steps, self._outer
        steps.current = outer
        if self._full is not None:
            self._full.end()
        elif outer is None:
            steps.ended.append((self._name, self._id, steps.request, True, self._start, time.time_ns()))
        else:
            steps.ended.append((self._name, self._id, outer.span_id, False, self._start, time.time_ns()))
