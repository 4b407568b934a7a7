"""Bare spans, while they last."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from drum_litestar.observability.bare.ended import Ended, EndedStep, pack
from drum_litestar.observability.call_notes import CallNotes
from drum_litestar.observability.current import CURRENT, SPAN_KEY
from drum_litestar.observability.steps import Step, mark_failed

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
        start_time: int | None = None,
    ) -> None:
        self._tracer = tracer
        self.name = name
        self._trace_id = trace_id
        self._span_id = tracer.bits(64) or 1
        self._flags = flags
        self.parent = parent
        self.start_time = start_time or time.time_ns()
        self._children: list[EndedStep | bytes] = []

    _end_time = 0
    _full: Span | None = None

    @property
    def traceparent(self) -> str:
        """The header of W3C trace context, without making a span context."""
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

    def adopt(self, steps: EndedStep | bytes) -> None:
        """Add what has ended under this one."""
        if self._end_time:
            self._tracer.steps_ended(self.get_span_context(), steps)
        else:
            self._children.append(steps)

    def end(self, end_time: int | None = None) -> None:
        with self._tracer.growing:
            if self._end_time:
                return
            self._end_time = time.time_ns() if end_time is None else _nanoseconds(end_time)
            full = self._full
        if full is not None:
            full.end(self._end_time)
        self._leave(full is None)

    def _leave(self, bare: bool) -> None:
        """``bare``: no span of the SDK has taken its place."""
        spans, parent = self._children, self.parent
        if bare:
            above, remote = (0, None) if parent is None else (parent.span_id, parent.is_remote)
            spans.append((self.name, self._span_id, above, remote, self.start_time, self._end_time))
        if spans:
            self._tracer.on_end(Ended(self._tracer, self._trace_id, self._flags, self._span_id, spans))

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


class RequestElsewhere(NonRecordingSpan):
    """The request's span, for the model's process; its ids are read when somebody asks for them."""

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    @cached_property
    def _context(self) -> SpanContext:  # type: ignore[override]
        try:
            _, trace_id, span_id, flags = self._traceparent.split("-")
            return SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))
        except ValueError:  # a client's, on a route that is not traced
            return trace.INVALID_SPAN_CONTEXT


class BareCall(CallNotes):
    """A call of the model whose steps are bare spans, which go to the HTTP process with the answer."""

    def __init__(self, tracer: BareTracer, traceparent: str, sampled: bool) -> None:
        """``traceparent``: of the request's span (W3C)."""
        self.tracer = tracer
        self.sampled = sampled
        self.request = RequestElsewhere(traceparent)
        self.context = Context({SPAN_KEY: self.request})
        self.ended: list[EndedStep] = []

    def step(self, name: str, hooks: bool) -> AbstractContextManager[Any]:
        if not hooks:
            return _StepWithoutHooks(self, name)
        context = CURRENT.get()
        return Step(BareStep(self, name, context), context)

    def take(self) -> bytes:
        if self.tracer.tells_process:
            self.leave()
        return pack(self.ended) if self.ended else b""

    def leave(self) -> None:
        ended, self.ended = self.ended, []
        if ended:
            self.tracer.steps_ended(self.request.get_span_context(), pack(ended))


class BareStep(BareSpan):
    """A step in which hooks may run."""

    def __init__(self, call: BareCall, name: str, context: Context, start_time: int | None = None) -> None:
        """``context``: the current one."""
        self._call = call
        self._tracer = call.tracer
        self.name = name
        self._above: Span = context.get(SPAN_KEY, trace.INVALID_SPAN)  # type: ignore[assignment]
        self._span_id = call.tracer.bits(64) or 1
        self.start_time = start_time or time.time_ns()

    @cached_property
    def parent(self) -> SpanContext:  # type: ignore[override]
        return self._above.get_span_context()

    @cached_property
    def _trace_id(self) -> int:  # type: ignore[override]
        return self._call.request.get_span_context().trace_id

    @cached_property
    def _flags(self) -> TraceFlags:  # type: ignore[override]
        return self._call.request.get_span_context().trace_flags

    def _leave(self, bare: bool) -> None:
        if not bare:
            return
        above, remote = (0, True) if self._above is self._call.request else (self.parent.span_id, self.parent.is_remote)
        self._call.ended.append((self.name, self._span_id, above, remote, self.start_time, self._end_time))


class _StepWithoutHooks:
    """A step of the call itself, in which nobody asks for the current span."""

    def __init__(self, call: BareCall, name: str) -> None:
        self._call = call
        self._name = name
        self._start = time.time_ns()

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            span = BareStep(self._call, self._name, self._call.context, self._start)
            mark_failed(span, error)
            span.end()
        else:
            self._call.ended.append((self._name, 0, 0, True, self._start, time.time_ns()))
