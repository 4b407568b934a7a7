"""A predictor whose calls leave spans, in the process that owns the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, Span, StatusCode, Tracer

from drum_litestar.observability import chat_attributes
from drum_litestar.observability.attributes import sendable, settable
from drum_litestar.observability.chat_attributes import StreamAssembler
from drum_litestar.observability.steps import Step, described, mark_failed, noting
from drum_litestar.observability.tracing import Tracing, is_error
from drum_litestar.predictors.protocol import (
    BatchPredictor,
    ModelCall,
    ModelCard,
    Predictor,
    Reply,
    SpanReport,
    StreamReply,
)

_log = logging.getLogger(__name__)


def traced(predictor: Predictor, tracing: Tracing) -> Predictor:
    """``predictor`` with spans; ``predictor`` itself when tracing is off, so that it costs nothing then."""
    if not tracing.enabled:
        return predictor
    if isinstance(predictor, BatchPredictor):
        return _TracedBatchPredictor(predictor, tracing)
    return _TracedPredictor(predictor, tracing)


def _step(tracer: Tracer, name: str, _: bool) -> Step:
    return Step(tracer.start_span(name))


class _TracedPredictor:
    """Keeps :class:`~drum_litestar.predictors.protocol.Predictor`."""

    def __init__(self, predictor: Predictor, tracing: Tracing) -> None:
        self._predictor = predictor
        self._tracing = tracing

    def load(self) -> ModelCard:
        return self._predictor.load()

    def close(self) -> None:
        self._predictor.close()

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        tracing = self._tracing
        bare = tracing.bare_call(call.trace)
        if bare is not None:
            parent = bare.context()
            notes = _CallNotes(bare.step)
        else:
            parent = tracing.extract(call.trace)
            flags = trace.get_current_span(parent).get_span_context().trace_flags
            if not flags.sampled:  # the children would be dropped, and nobody reads a report
                return self._within(parent, call)
            notes = _CallNotes(partial(_step, tracing.tracer))
        chat = call.kind == "chat"
        if chat and call.body is not None:
            notes.add(chat_attributes.request_attributes, call.body.read())
        try:
            with noting(notes):
                reply = self._within(parent, call)
        finally:
            if bare is not None:
                bare.answered()
        if isinstance(reply, StreamReply):
            reply.head.span = notes.report(reply.head.status, b"")
            name = "drum.chat.completions.stream" if chat else "stream"
            span = tracing.tracer.start_span(name, context=parent)
            return StreamReply(reply.head, _TracedChunks(reply, span, tracing.tracer, parent, chat=chat))
        if chat and reply.status == 200:
            notes.add(chat_attributes.response_attributes, reply.body)
        reply.span = notes.report(reply.status, reply.body)
        return reply

    def _within(self, parent: otel_context.Context, call: ModelCall) -> Reply | StreamReply:
        token = otel_context.attach(parent)
        try:
            return self._predictor.handle(call)
        finally:
            otel_context.detach(token)


class _TracedBatchPredictor(_TracedPredictor):
    """Keeps :class:`~drum_litestar.predictors.protocol.BatchPredictor` too."""

    @property
    def batching(self) -> bool:
        assert isinstance(self._predictor, BatchPredictor)
        return self._predictor.batching

    def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        """One span ``batch`` for the merged call: in the first traced call's trace, with links to the others."""
        predictor, tracing = self._predictor, self._tracing
        assert isinstance(predictor, BatchPredictor)
        parents = [tracing.extract(call.trace) for call in calls]
        spans = [trace.get_current_span(parent).get_span_context() for parent in parents]
        sampled = [(parent, span) for parent, span in zip(parents, spans, strict=True) if span.trace_flags.sampled]
        if not sampled:
            return predictor.handle_batch(calls)
        with (
            tracing.tracer.start_as_current_span(
                "batch",
                context=sampled[0][0],
                links=[Link(span) for _, span in sampled[1:]],
                attributes={"drum.batch.calls": len(calls)},
            ),
            noting(_CallNotes(partial(_step, tracing.tracer))),
        ):
            return predictor.handle_batch(calls)


class _CallNotes:
    """Gathers the report on one call."""

    def __init__(self, step: Callable[[str, bool], AbstractContextManager[Any]]) -> None:
        self.step = step
        self._attributes: dict[str, Any] = {}
        self._error: str | None = None
        self._exception: tuple[str, str, str] | None = None

    def add(self, read: Callable[[bytes], dict[str, Any]], body: bytes) -> None:
        """Add the attributes that ``read`` finds in ``body``. Telemetry must never cost a client its answer."""
        try:
            self._attributes.update(read(body))
        except Exception:
            _log.exception("Attributes of a chat could not be read")

    def exception(self, error: BaseException) -> None:
        self._exception = described(error)
        self._error = f"{type(error).__name__}: {self._exception[1]}"

    def report(self, status: int, body: bytes) -> SpanReport | None:
        """An error answer that nobody reported is told from its status and text. None when there is nothing to say."""
        error = self._error
        if error is None and is_error(status):
            error = body[:1000].decode("utf-8", "replace").strip() or f"status {status}"
        if error is None and not self._attributes:
            return None
        return SpanReport(attributes=self._attributes, error=sendable(error), exception=self._exception)


class _StreamNotes:
    """Reports on a stream go straight to its span, which lives in this process."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self.step = partial(_step, tracer)
        self._span = span

    def exception(self, error: BaseException) -> None:
        mark_failed(self._span, error)


class _TracedChunks:
    """The chunks of a stream; its span is current while the model makes one, and ends with the last."""

    def __init__(
        self, reply: StreamReply, span: Span, tracer: Tracer, parent: otel_context.Context, *, chat: bool
    ) -> None:
        self._reply = reply
        self._chunks = iter(reply.chunks)
        self._span = span
        self._context = trace.set_span_in_context(span, parent)
        self._notes = _StreamNotes(tracer, span)
        self._answer = StreamAssembler() if chat else None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = otel_context.attach(self._context)
        try:
            with noting(self._notes):
                chunk = next(self._chunks)
        except StopIteration:
            self._finish()
            raise
        except BaseException as error:
            self._notes.exception(error)
            self._finish()
            raise
        finally:
            otel_context.detach(token)
        if self._answer is not None:
            self._answer.feed(chunk)
        return chunk

    def close(self) -> None:
        """Stop the producer; ends the span if the stream has not."""
        token = otel_context.attach(self._context)
        try:
            self._reply.close()
        finally:
            otel_context.detach(token)
            self._finish()

    def _finish(self) -> None:
        if not self._span.is_recording():
            return
        if self._answer is not None:
            self._span.set_attributes(settable(self._answer.attributes()))
            if self._answer.error is not None:
                self._span.set_status(StatusCode.ERROR, self._answer.error)
        self._span.end()
