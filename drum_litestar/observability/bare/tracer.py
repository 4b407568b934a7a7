"""The tracer of bare spans, and the provider that has it. Imports the SDK: only for a process that exports spans."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Decision
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags, Tracer
from opentelemetry.util.types import Attributes

from drum_litestar.observability.bare.spans import BareSpan, BareSteps
from drum_litestar.observability.tracing import TRACER

_RANDOM: Final = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
"""Older SDKs do not know the flag."""


class ChosenIds(RandomIdGenerator):  # type: ignore[misc]
    """Random ids, except inside :meth:`chosen` (in its thread)."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def chosen(self, context: SpanContext) -> Iterator[None]:
        """The next span, and its trace if it starts one, has the ids of ``context``."""
        self._local.context = context
        try:
            yield
        finally:
            self._local.context = None

    def generate_trace_id(self) -> int:
        context: SpanContext | None = getattr(self._local, "context", None)
        return int(super().generate_trace_id()) if context is None else context.trace_id

    def generate_span_id(self) -> int:
        context: SpanContext | None = getattr(self._local, "context", None)
        return int(super().generate_span_id()) if context is None else context.span_id


class SpanProvider(TracerProvider):  # type: ignore[misc]
    """The SDK's provider, except that the server's own tracer makes bare spans.

    Only with one of the SDK's samplers, which ask no child that follows its parent, and as long as ``processor`` is
    the only one: a processor that a hook adds may read anything of a span.
    """

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        ids = ChosenIds()
        super().__init__(resource=resource, id_generator=ids, shutdown_on_exit=False)
        super().add_span_processor(processor)
        self.own = BareTracer(super().get_tracer(TRACER), self, processor.on_end)
        """The tracer of the server's own spans."""
        self.own.bare = type(self.sampler).__module__ == "opentelemetry.sdk.trace.sampling"

    def get_tracer(self, instrumenting_module_name: str, *args: Any, **options: Any) -> Tracer:
        if instrumenting_module_name == TRACER:
            return self.own
        tracer: Tracer = super().get_tracer(instrumenting_module_name, *args, **options)
        return tracer

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        self.own.bare = False
        super().add_span_processor(span_processor)


class BareTracer(Tracer):
    """Makes bare spans, and leaves to ``tracer``, the SDK's, what cannot be bare."""

    def __init__(self, tracer: Tracer, provider: TracerProvider, on_end: Callable[[Any], None]) -> None:
        self.bare = True
        """False leaves all spans to the SDK."""
        self.on_end = on_end
        self._tracer = tracer
        self._ids: ChosenIds = provider.id_generator
        self._sampler = provider.sampler
        self._samples = TracerProvider(
            sampler=ALWAYS_ON, resource=provider.resource, shutdown_on_exit=False, id_generator=self._ids
        ).get_tracer(TRACER)
        self._root_flags = self._samples.start_span("", Context()).get_span_context().trace_flags
        random = RandomIdGenerator()
        self.random_id: Callable[[], int] = random.generate_span_id
        self._random_trace_id: Callable[[], int] = random.generate_trace_id

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
            if type(above) is BareSpan or type(above) is BareSteps:  # the decision to sample has been taken
                return BareSpan(self, name, parent.trace_id, parent.trace_flags, parent, start_time)
            if not parent.trace_state:
                return self._entry(name, context, parent, start_time)
        return self._tracer.start_span(
            name, context, kind, attributes, links or (), start_time, record_exception, set_status_on_exception
        )

    def _entry(self, name: str, context: Context | None, parent: SpanContext, start_time: int | None) -> Span:
        """A span for which the sampler is asked."""
        if parent.is_valid:
            trace_id, flags = parent.trace_id, TraceFlags(TraceFlags.SAMPLED | parent.trace_flags & _RANDOM)
        elif self._sampler is DEFAULT_ON:  # samples what has no parent
            return BareSpan(self, name, self._random_trace_id(), self._root_flags, None, start_time)
        else:
            trace_id, flags = self._random_trace_id(), self._root_flags
        asked = self._sampler.should_sample(context, trace_id, name, SpanKind.INTERNAL, None, ())
        above = parent if parent.is_valid else None
        if asked.decision is Decision.RECORD_AND_SAMPLE and not (asked.attributes or asked.trace_state):
            return BareSpan(self, name, trace_id, flags, above, start_time)
        own = SpanContext(trace_id, self.random_id(), False, flags, asked.trace_state)
        if asked.decision is Decision.DROP:
            flags = TraceFlags(flags & ~TraceFlags.SAMPLED)
            return NonRecordingSpan(SpanContext(trace_id, own.span_id, False, flags, asked.trace_state))
        return self.full(name, own, above, start_time)

    def steps(self, traceparent: str) -> BareSteps | None:
        """For the call of a request whose span is ``traceparent`` (W3C): None if that is not sampled."""
        flags = TraceFlags(int(traceparent[53:55], 16))
        if not (self.bare and flags & TraceFlags.SAMPLED):
            return None
        return BareSteps(self, int(traceparent[3:35], 16), int(traceparent[36:52], 16), flags)

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
