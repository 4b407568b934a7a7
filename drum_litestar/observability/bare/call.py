"""Bare spans of the model's process: a call and its steps."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

from drum_litestar.observability.bare.ended import EndedStep, pack
from drum_litestar.observability.bare.spans import BareSpan
from drum_litestar.observability.tracing.call_report import CallReport
from drum_litestar.observability.tracing.current import CURRENT, SPAN_KEY
from drum_litestar.observability.tracing.request_span import span_context
from drum_litestar.observability.tracing.step_spans import Step, mark_failed

if TYPE_CHECKING:
    from drum_litestar.observability.bare.tracer import BareTracer


class RequestElsewhere(NonRecordingSpan):
    """The request's span, for the model's process; its ids are parsed on demand."""

    def __init__(self, traceparent: str) -> None:
        self._traceparent = traceparent

    @cached_property
    def _context(self) -> SpanContext:  # type: ignore[override]
        return span_context(self._traceparent)  # it may be a client's, of a route that is not traced


class BareCall(CallReport, kw_only=True):
    """A call of the model whose steps are bare spans, which go to the HTTP process with the answer."""

    tracer: BareTracer
    request: RequestElsewhere
    """The current span of ``context``."""
    ended: list[EndedStep] = msgspec.field(default_factory=list)

    def step(self, name: str, hooks: bool) -> AbstractContextManager[Any]:
        if not hooks:
            return _StepWithoutHooks(self, name, time.time_ns())
        context = CURRENT.get()
        return Step(BareStep(self, name, context), context)

    def take_steps(self) -> bytes:
        if self.tracer.tells_process:
            self.export_steps()
        return pack(self.ended) if self.ended else b""

    def export_steps(self) -> None:
        ended, self.ended = self.ended, []
        if ended:
            self.tracer.steps_ended(self.request.get_span_context(), pack(ended))


class BareStep(BareSpan):
    """A step in which hooks may run."""

    def __init__(self, call: BareCall, name: str, context: Context, start_time: int | None = None) -> None:
        """``context``: the current one."""
        around: Span = context.get(SPAN_KEY, trace.INVALID_SPAN)  # type: ignore[assignment]
        self._call = call
        self._around = around
        self._tracer = call.tracer
        self.name = name
        self._above = (0, True) if around is call.request else (self.parent.span_id, self.parent.is_remote)
        self._span_id = call.tracer.random_id()
        self.ended = call.ended
        self.start_time = start_time or time.time_ns()

    _leads = False

    @cached_property
    def parent(self) -> SpanContext:  # type: ignore[override]
        return self._around.get_span_context()

    @cached_property
    def _trace_id(self) -> int:  # type: ignore[override]
        return self._call.request.get_span_context().trace_id

    @cached_property
    def _flags(self) -> TraceFlags:  # type: ignore[override]
        return self._call.request.get_span_context().trace_flags


class _StepWithoutHooks(msgspec.Struct):
    """A step of the call itself, in which no code reads the current span."""

    call: BareCall
    name: str
    start: int

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            span = BareStep(self.call, self.name, self.call.context, self.start)
            mark_failed(span, error)
            span.end()
        else:
            self.call.ended.append((self.name, 0, 0, True, self.start, time.time_ns()))
