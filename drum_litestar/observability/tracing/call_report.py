"""Collector of what a model worker reports of a call: its steps, and attributes and errors of its request's span."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any

import msgspec
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer

from drum_litestar.errors import is_error
from drum_litestar.observability.tracing import chat_attributes
from drum_litestar.observability.tracing.attributes import sendable, settable
from drum_litestar.observability.tracing.chat_attributes import StreamAssembler
from drum_litestar.observability.tracing.spans import describe_exception, end_span, mark_failed, start_span, within
from drum_litestar.predictors.protocol import SpanReport
from drum_litestar.predictors.steps import REPORTER, CallReporter, ChatPart

_log = logging.getLogger(__name__)


class CallReport:
    """Collects the report on one call. Implements :class:`~drum_litestar.predictors.steps.CallReporter`."""

    def __init__(self, tracer: Tracer | None, notes: CallReporter | None = None) -> None:
        """``tracer`` makes spans of the steps; None only takes their time. ``notes`` get all reports, too."""
        self.attributes: dict[str, Any] = {}
        self._tracer = tracer
        self._notes = notes
        self._error: str | None = None
        self._raised: tuple[str, str, str] | None = None
        self._stream: Span | None = None
        self._chunks = StreamAssembler()

    def step(self, name: str) -> AbstractContextManager[object]:
        return self._own_step(name) if self._notes is None else self._noted_step(self._notes, name)

    def _own_step(self, name: str) -> AbstractContextManager[object]:
        return _Timed(self.attributes, name) if self._tracer is None else self._span_of_step(self._tracer, name)

    @contextmanager
    def _noted_step(self, notes: CallReporter, name: str) -> Iterator[None]:
        with notes.step(name), self._own_step(name):
            yield

    @contextmanager
    def _span_of_step(self, tracer: Tracer, name: str) -> Iterator[None]:
        span = start_span(tracer, name)
        token = otel_context.attach(within(span, otel_context.get_current()))
        try:
            with _Timed(self.attributes, name):
                yield
        except Exception as error:
            mark_failed(span, error)
            raise
        finally:
            otel_context.detach(token)
            end_span(span)

    def exception(self, error: BaseException) -> None:
        if self._notes is not None:
            self._notes.exception(error)
        if self._stream is not None:
            mark_failed(self._stream, error)
        else:
            self._raised = describe_exception(error)
            self._error = f"{type(error).__name__}: {self._raised[1]}"

    def chat(self, part: ChatPart, value: Any) -> None:
        with _not_failing():
            if part == "request":
                self.attributes.update(chat_attributes.request_attributes(value))
            elif part == "answer":
                self.attributes.update(chat_attributes.response_attributes(value))
            else:
                self._chunks.add(value)

    def begin_stream(self, span: Span) -> None:
        """What is reported from now on belongs to ``span``."""
        self._stream = span

    def end_stream(self) -> None:
        """End the stream's span, with the attributes of the chat that was streamed. Idempotent."""
        if self._stream is not None and self._stream.is_recording():
            with _not_failing():
                self._stream.set_attributes(settable(self._chunks.attributes()))
            end_span(self._stream)

    def span_report(self, status: int, body: bytes) -> SpanReport:
        """Return the report to send with the answer. An error status without a reported exception is described by the
        answer's text."""
        error = self._error
        if error is None and is_error(status):
            error = body[:1000].decode("utf-8", "replace").strip() or f"status {status}"
        return SpanReport(self.attributes, sendable(error), self._raised)


@contextmanager
def _not_failing() -> Iterator[None]:
    """Log what a chat of an unexpected shape raises: telemetry must not fail a request."""
    try:
        yield
    except Exception:
        _log.exception("Attributes of a chat could not be read")


class _Timed:
    """Adds the duration of a step to ``attributes``, in milliseconds."""

    __slots__ = ("attributes", "began", "name")

    def __init__(self, attributes: dict[str, Any], name: str) -> None:
        self.attributes = attributes
        self.name = f"drum.{name}.duration_ms"

    def __enter__(self) -> None:
        self.began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        taken = (time.perf_counter() - self.began) * 1000
        self.attributes[self.name] = round(self.attributes.get(self.name, 0.0) + taken, 3)


class report_to(msgspec.Struct):  # noqa: N801 (reads as a function, and a generator would cost more)
    """Send what a predictor reports in this thread to ``reporter``, and make ``context`` OpenTelemetry's current
    one."""

    reporter: CallReporter | None
    context: Context
    context_token: Any = None
    reporter_token: Any = None

    def __enter__(self) -> None:
        self.context_token = otel_context.attach(self.context)
        self.reporter_token = REPORTER.set(self.reporter)

    def __exit__(self, *error: object) -> None:
        REPORTER.reset(self.reporter_token)
        otel_context.detach(self.context_token)
