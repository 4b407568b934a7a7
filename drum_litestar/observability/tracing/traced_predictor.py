"""Predictor wrapper that traces each call, in the process that owns the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Dict, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, Tracer

from drum_litestar.observability.tracing.call_report import CallReport, report_to
from drum_litestar.observability.tracing.context_carrier import context_of, is_sampled
from drum_litestar.observability.tracing.spans import end_span, start_span, within
from drum_litestar.predictors.protocol import (
    BatchPredictor,
    CallKind,
    CallLoop,
    ModelCall,
    ModelCard,
    Predictor,
    Reply,
    StreamReply,
    batch_predictor,
    call_loop,
)
from drum_litestar.predictors.steps import REPORTER

_STREAM_SPANS: Final[Dict[CallKind, str]] = {
    "chat": "drum.chat.completions.stream",
    "completion": "drum.completions.stream",
}
"""Spans of streams that have what was generated as attributes: DRUM's (contract, 5.6), and one of its kind."""


def traced(predictor: Predictor, tracer: Tracer, *, reports: bool, steps: bool) -> Predictor:
    """Wrap ``predictor`` so that hooks find the trace context of their request.

    ``reports``: the HTTP process wants to know of sampled calls what belongs to their requests' spans. ``steps``: the
    steps of these calls get spans by ``tracer``.
    """
    batches = batch_predictor(predictor)
    if batches is None:
        return _TracedPredictor(predictor, tracer, reports=reports, steps=steps)
    return _TracedBatchPredictor(batches, tracer, reports=reports, steps=steps)


class _TracedPredictor:
    """Implements :class:`~drum_litestar.predictors.protocol.Predictor`."""

    def __init__(self, predictor: Predictor, tracer: Tracer, *, reports: bool, steps: bool) -> None:
        self._predictor = predictor
        self._tracer = tracer
        self._reports = reports or steps
        self._steps = steps

    def load(self) -> ModelCard:
        return self._predictor.load()

    def close(self) -> None:
        self._predictor.close()

    @property
    def call_loop(self) -> CallLoop | None:
        return call_loop(self._predictor)

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        if not call.trace:
            return self._predictor.handle(call)
        wanted = self._reports and is_sampled(call.trace)
        notes = REPORTER.get()
        report = CallReport(self._tracer if self._steps else None, notes) if wanted else None
        context = context_of(call.trace)
        with report_to(report or notes, context):
            reply = self._predictor.handle(call)
        if isinstance(reply, Reply):
            if report is not None:
                reply.span = report.span_report(reply.status, reply.body)
            return reply
        if report is not None:
            reply.head.span = report.span_report(reply.head.status, b"")
            name = _STREAM_SPANS.get(call.kind)
            if name is not None or self._steps:
                span = start_span(self._tracer, name or "stream", context)
                report.begin_stream(span)
                context = within(span, context)
        return StreamReply(reply.head, _TracedChunks(reply, context, report))


class _BatchReport(CallReport):
    """Of the steps that calls have in common."""

    def exception(self, error: BaseException) -> None:
        """No-op: it is a single call's, and its answer tells of it."""


class _TracedBatchPredictor(_TracedPredictor):
    """Implements :class:`~drum_litestar.predictors.protocol.BatchPredictor` too."""

    def __init__(self, predictor: BatchPredictor, tracer: Tracer, *, reports: bool, steps: bool) -> None:
        super().__init__(predictor, tracer, reports=reports, steps=steps)
        self._batches = predictor

    @property
    def batching(self) -> bool:
        return self._batches.batching

    def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        """Answer all calls in the context of the first sampled one, and report the common steps to each of these.

        With spans of steps, they are below a span ``batch``, which has links to the other sampled calls.
        """
        sampled = [number for number, call in enumerate(calls) if is_sampled(call.trace)] if self._reports else []
        if not sampled:
            with report_to(None, context_of(calls[0].trace)):
                return self._batches.handle_batch(calls)
        report = _BatchReport(self._tracer if self._steps else None)
        context, *others = (context_of(calls[number].trace) for number in sampled)
        span: Span = trace.INVALID_SPAN
        report.attributes["drum.batch.calls"] = len(calls)
        if self._steps:
            links = [Link(trace.get_current_span(other).get_span_context()) for other in others]
            attributes = {"drum.batch.calls": len(calls)}
            span = start_span(self._tracer, "batch", context, links=links, attributes=attributes)
        try:
            with report_to(report, within(span, context)):
                replies = self._batches.handle_batch(calls)
        finally:
            end_span(span)
        if replies is not None and len(replies) == len(calls):
            for number in sampled:
                reply = replies[number]
                reply.span = report.span_report(reply.status, reply.body)
        return replies


class _TracedChunks:
    """The chunks of a stream. Its context is current while the model makes one; its span, if any, ends with the
    last."""

    def __init__(self, reply: StreamReply, context: Context, report: CallReport | None) -> None:
        """``report`` is None when the request is not sampled."""
        self._reply = reply
        self._chunks = iter(reply.chunks)
        self._context = context
        self._report = report

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            with report_to(self._report, self._context):
                return next(self._chunks)
        except StopIteration:
            self._finish()
            raise
        except BaseException as error:
            if self._report is not None:
                self._report.exception(error)
            self._finish()
            raise

    def close(self) -> None:
        """Stop the producer; ends the span if the stream has not."""
        try:
            with report_to(self._report, self._context):
                self._reply.close()
        finally:
            self._finish()

    def _finish(self) -> None:
        if self._report is not None:
            self._report.end_stream()
