"""The tracer of bare spans, and the provider that has it. Imports the SDK: only for a process that exports spans."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Decision
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
)
from opentelemetry.util.types import Attributes

from drum_litestar.observability.bare.call import BareCall, RequestElsewhere
from drum_litestar.observability.bare.ended import Ended, EndedStep, EndedTrace
from drum_litestar.observability.bare.ids import Ids
from drum_litestar.observability.bare.spans import BareSpan, DroppedSpan
from drum_litestar.observability.tracing.current import SPAN_KEY
from drum_litestar.observability.tracing.guarded_processor import GuardedProcessor
from drum_litestar.observability.tracing.request_span import Carrier, RequestSpan, span_context, traceparent
from drum_litestar.observability.tracing.request_tracer import TRACER

RANDOM: Final = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
"""Older SDKs do not know the flag."""
_LENGTH: Final = len(f"00-{0:032x}-{0:016x}-00")
_ODD: Final = "13579bdf"
"""Last digits of the flags of a sampled span."""


class SpanProvider(TracerProvider):  # type: ignore[misc]
    """The SDK's provider, except that the server's own tracer makes bare spans.

    Only with one of the SDK's samplers, which ask no child that follows its parent, and as long as ``processor`` is
    the only one: a processor that a hook adds may read anything of a span.
    """

    def __init__(self, processor: SpanProcessor, resource: Resource, requests_per_item: int = 1) -> None:
        """``requests_per_item``: requests whose bare spans may be sent as one item."""
        super().__init__(resource=resource, id_generator=Ids(), shutdown_on_exit=False)
        processor = GuardedProcessor(processor)
        super().add_span_processor(processor)
        self.own = BareTracer(super().get_tracer(TRACER), self, processor.on_end, requests_per_item)
        """The tracer of the server's own spans."""

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        self.own.bare = False
        super().add_span_processor(GuardedProcessor(span_processor))


class BareTracer(Tracer):
    """Makes bare spans, and leaves to ``tracer``, the SDK's, what cannot be bare."""

    def __init__(
        self, tracer: Tracer, provider: TracerProvider, on_end: Callable[[Any], None], requests_per_item: int
    ) -> None:
        self.bare = type(provider.sampler).__module__ == "opentelemetry.sdk.trace.sampling"
        """False leaves all spans to the SDK."""
        self._on_end = on_end
        self._requests_per_item = requests_per_item
        self._open: Ended | None = None
        """An item that the processor has, and that may still grow."""
        self._tracer = tracer
        self.growing = threading.RLock()
        """Held while a span becomes the SDK's, or ends, and while an item grows."""
        os.register_at_fork(after_in_child=self._after_fork)
        self._ids: Ids = provider.id_generator
        self._sampler = provider.sampler
        self._samples = TracerProvider(
            sampler=ALWAYS_ON, resource=provider.resource, shutdown_on_exit=False, id_generator=self._ids
        ).get_tracer(TRACER)
        self._root_flags = self._samples.start_span("", Context()).get_span_context().trace_flags
        self.random_id = self._ids.random_id
        self.random_ids = self._ids.random_ids
        self.bits = self._ids.bits
        self.tells_process = "process.pid" in provider.resource.attributes
        """Spans should leave from the process in which they were made."""

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        if self.bare and kind is SpanKind.INTERNAL and not (attributes or links):
            above = trace.get_current_span(context)
            parent = above.get_span_context()
            if isinstance(above, BareSpan):  # the decision to sample has been taken
                return BareSpan(self, name, parent.trace_id, parent.trace_flags, parent, start_time)
            if not parent.trace_state:
                return self._entry(name, context, parent, start_time)
        return self._tracer.start_span(
            name, context, kind, attributes, links or (), start_time, record_exception, set_status_on_exception
        )

    def request_span(self, name: str, header: bytes | None) -> RequestSpan | None:
        """The span of a request whose only trace context is ``header``, its ``traceparent`` (None: it has none).

        None where :meth:`start_span` must be asked.
        """
        if not self.bare:
            return None
        parent = None if header is None else span_context(header.decode("latin-1"))
        if parent is not None and not parent.is_valid:
            return None
        span: Span
        if self._sampler is not DEFAULT_ON:
            above = Context() if parent is None else Context({SPAN_KEY: NonRecordingSpan(parent)})
            span = self._entry(name, above, parent or INVALID_SPAN_CONTEXT, None)
            context = Context({SPAN_KEY: span})
            return RequestSpan(span, Carrier.of(span, context), context)
        span_id = self.bits(64) or 1
        if parent is None:  # it samples what has no parent, or one that is sampled
            trace_id, flags = self.bits(128) or 1, self._root_flags
        else:
            trace_id, flags = parent.trace_id, TraceFlags(parent.trace_flags & (TraceFlags.SAMPLED | RANDOM))
        if flags & TraceFlags.SAMPLED:
            span = BareSpan(self, name, trace_id, flags, parent, None, span_id)
        else:
            span = DroppedSpan(trace_id, span_id, flags)
        carrier = Carrier(traceparent=traceparent(trace_id, span_id, flags))
        carrier.bare = span
        return RequestSpan(span, carrier, Context({SPAN_KEY: span}))

    def _entry(self, name: str, context: Context | None, parent: SpanContext, start_time: int | None) -> Span:
        """A span for which the sampler is asked."""
        if parent.is_valid:
            trace_id, flags = parent.trace_id, TraceFlags(TraceFlags.SAMPLED | parent.trace_flags & RANDOM)
        else:
            trace_id, flags = self._ids.generate_trace_id(), self._root_flags
        asked = self._sampler.should_sample(context, trace_id, name, SpanKind.INTERNAL, None, ())
        above = parent if parent.is_valid else None
        if asked.decision is Decision.RECORD_AND_SAMPLE and not (asked.attributes or asked.trace_state):
            return BareSpan(self, name, trace_id, flags, above, start_time)
        span_id, dropped = self.random_id(), asked.decision is Decision.DROP
        if dropped:
            flags = TraceFlags(flags & ~TraceFlags.SAMPLED)
            if not asked.trace_state:
                return DroppedSpan(trace_id, span_id, flags)
        own = SpanContext(trace_id, span_id, False, flags, asked.trace_state)
        return NonRecordingSpan(own) if dropped else self.full(name, own, above, start_time)

    def call(self, carrier: Mapping[str, str]) -> BareCall | None:
        """For the call of a request with this ``ModelCall.trace``; None if it has no bare spans."""
        traceparent = carrier.get("traceparent", "")
        if not self.bare or len(carrier) != 1 or len(traceparent) != _LENGTH or not traceparent.startswith("00-"):
            return None
        request = RequestElsewhere(traceparent)
        return BareCall(
            tracer=self,
            context=Context({SPAN_KEY: request}),
            sampled=traceparent[-1] in _ODD,
            request=request,
        )

    def steps_ended(self, above: SpanContext, steps: EndedStep | bytes) -> None:
        """Hand on what has ended under ``above``."""
        self.hand_on((above.trace_id, above.trace_flags, above.span_id, [steps]))

    def hand_on(self, ended: EndedTrace) -> None:
        """Give it to the processor, which has to see only the first of some."""
        with self.growing:
            item = self._open
            if item is not None:
                item.traces.append(ended)
                if len(item.traces) >= self._requests_per_item:
                    self._open = None
                return
            item = Ended(self, [ended])
            if self._requests_per_item > 1:
                self._open = item
        self._on_end(item)

    def taken(self, item: Ended) -> None:
        """An exporter is going to read ``item``, which must not grow any more."""
        with self.growing:
            if self._open is item:
                self._open = None

    def _after_fork(self) -> None:
        """The child's processor has nothing of what the parent's has, and a thread that held the lock is not there."""
        self._open = None
        self.growing = threading.RLock()

    def full(self, name: str, own: SpanContext, parent: SpanContext | None, start_time: int | None) -> Span:
        """A span of the SDK with the ids of ``own``."""
        return self._chosen(self._tracer, name, own, parent, start_time)

    def sample(self, name: str, own: SpanContext, parent: SpanContext | None, start_time: int) -> Any:
        """As :meth:`full`, but no processor sees it."""
        return self._chosen(self._samples, name, own, parent, start_time)

    def _chosen(
        self, tracer: Tracer, name: str, own: SpanContext, parent: SpanContext | None, start_time: int | None
    ) -> Span:
        above = Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), Context())
        with self._ids.chosen(own):
            return tracer.start_span(name, above, start_time=start_time)

    def start_as_current_span(self, *args: Any, **options: Any) -> Any:
        """The SDK's."""
        return self._tracer.start_as_current_span(*args, **options)
