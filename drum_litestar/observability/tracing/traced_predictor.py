"""Predictor wrapper that traces each call, in the process that owns the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, StatusCode

from drum_litestar.observability.tracing import chat_attributes
from drum_litestar.observability.tracing.attributes import settable
from drum_litestar.observability.tracing.call_report import CallReport
from drum_litestar.observability.tracing.chat_attributes import StreamAssembler
from drum_litestar.observability.tracing.current import CURRENT
from drum_litestar.observability.tracing.request_tracer import Tracing
from drum_litestar.observability.tracing.step_spans import mark_failed, report_to
from drum_litestar.predictors.protocol import (
    BatchPredictor,
    ModelCall,
    ModelCard,
    Predictor,
    Reply,
    StreamReply,
)


def traced(predictor: Predictor, tracing: Tracing) -> Predictor:
    """Wrap ``predictor`` so that its calls make spans; returns ``predictor`` itself when tracing is off."""
    if not tracing.enabled:
        return predictor
    if isinstance(predictor, BatchPredictor):
        return _TracedBatchPredictor(predictor, tracing)
    return _TracedPredictor(predictor, tracing)


class _TracedPredictor:
    """Implements :class:`~drum_litestar.predictors.protocol.Predictor`."""

    def __init__(self, predictor: Predictor, tracing: Tracing) -> None:
        self._predictor = predictor
        self._tracing = tracing

    def load(self) -> ModelCard:
        return self._predictor.load()

    def close(self) -> None:
        self._predictor.close()

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        tracing = self._tracing
        report: CallReport = tracing.bare_call(call.trace) or CallReport.of(tracing.tracer, tracing.extract(call.trace))
        if not report.sampled:  # spans would be dropped, and a report would not be read
            with report_to(None, report.context):
                reply = self._predictor.handle(call)
            if isinstance(reply, StreamReply):
                return StreamReply(reply.head, _TracedChunks(reply, report.context, None))
            return reply
        chat = call.kind == "chat"
        if chat and call.body is not None:
            report.add(chat_attributes.request_attributes, call.body.read())
        try:
            with report_to(report, report.context):
                reply = self._predictor.handle(call)
        except BaseException:
            report.export_steps()
            raise
        if isinstance(reply, StreamReply):
            reply.head.span = report.span_report(reply.head.status, b"")
            name = "drum.chat.completions.stream" if chat else "stream"
            span = tracing.tracer.start_span(name, report.context)
            context = trace.set_span_in_context(span, report.context)
            assembler = StreamAssembler() if chat else None
            chunks = _TracedChunks(
                reply, context, _StreamReport(tracer=tracing.tracer, context=context, sampled=True), assembler
            )
            return StreamReply(reply.head, chunks)
        if chat and reply.status == 200:
            report.add(chat_attributes.response_attributes, reply.body)
        reply.span = report.span_report(reply.status, reply.body)
        return reply


class _TracedBatchPredictor(_TracedPredictor):
    """Implements :class:`~drum_litestar.predictors.protocol.BatchPredictor` too."""

    @property
    def batching(self) -> bool:
        assert isinstance(self._predictor, BatchPredictor)
        return self._predictor.batching

    def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        """Open one span ``batch`` for all calls: in the first traced call's trace, with links to the others."""
        predictor, tracing = self._predictor, self._tracing
        assert isinstance(predictor, BatchPredictor)
        parents = [tracing.extract(call.trace) for call in calls]
        spans = [trace.get_current_span(parent).get_span_context() for parent in parents]
        sampled = [(parent, span) for parent, span in zip(parents, spans) if span.trace_flags.sampled]
        if not sampled:
            with report_to(None, parents[0]):
                return predictor.handle_batch(calls)
        links = [Link(span) for _, span in sampled[1:]]
        attributes = {"drum.batch.calls": len(calls)}
        with tracing.tracer.start_as_current_span("batch", sampled[0][0], links=links, attributes=attributes):
            context = CURRENT.get()
            with report_to(CallReport.of(tracing.tracer, context), context):
                return predictor.handle_batch(calls)


class _StreamReport(CallReport):
    """Report of a stream: written to its span at once, because that is in this process."""

    def exception(self, error: BaseException) -> None:
        mark_failed(trace.get_current_span(self.context), error)


class _TracedChunks:
    """The chunks of a stream. The stream's span is current while the model makes one, and ends with the last."""

    def __init__(
        self,
        reply: StreamReply,
        context: Context,
        report: _StreamReport | None,
        assembler: StreamAssembler | None = None,
    ) -> None:
        """``context`` has the stream's span; ``report`` is None when the request is not sampled; ``assembler`` is for
        the answer of a chat."""
        self._reply = reply
        self._chunks = iter(reply.chunks)
        self._span = trace.get_current_span(context)
        self._context = context
        self._report = report
        self._assembler = assembler

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            with report_to(self._report, self._context):
                chunk = next(self._chunks)
        except StopIteration:
            self._finish()
            raise
        except BaseException as error:
            mark_failed(self._span, error)
            self._finish()
            raise
        if self._assembler is not None:
            self._assembler.feed(chunk)
        return chunk

    def close(self) -> None:
        """Stop the producer; ends the span if the stream has not."""
        try:
            with report_to(self._report, self._context):
                self._reply.close()
        finally:
            self._finish()

    def _finish(self) -> None:
        if not self._span.is_recording():
            return
        if self._assembler is not None:
            self._span.set_attributes(settable(self._assembler.attributes()))
            if self._assembler.error is not None:
                self._span.set_status(StatusCode.ERROR, self._assembler.error)
        self._span.end()
