"""What is noted while the model answers a call: its steps, and what its request's span should say."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context

from drum_litestar.errors import is_error
from drum_litestar.observability.tracing.attributes import sendable
from drum_litestar.observability.tracing.current import CURRENT
from drum_litestar.observability.tracing.step_spans import Step, described
from drum_litestar.predictors.protocol import SpanReport

_log = logging.getLogger(__name__)


class CallNotes(msgspec.Struct, kw_only=True):
    """Gathers the report on one call."""

    tracer: Any
    context: Context
    """Of the call, in which the request's span is current."""
    sampled: bool
    attributes: dict[str, Any] | None = None
    error: str | None = None
    raised: tuple[str, str, str] | None = None
    """Type, message and traceback."""

    @classmethod
    def of(cls, tracer: Any, context: Context) -> CallNotes:
        sampled = trace.get_current_span(context).get_span_context().trace_flags.sampled
        return cls(tracer=tracer, context=context, sampled=sampled)

    def step(self, name: str, hooks: bool) -> AbstractContextManager[Any]:
        """Around a step; ``hooks``: may be called in it."""
        context = CURRENT.get()
        return Step(self.tracer.start_span(name, context), context)

    def add(self, read: Callable[[bytes], dict[str, Any]], body: bytes) -> None:
        """Add the attributes that ``read`` finds in ``body``. Telemetry must never cost a client its answer."""
        try:
            self.attributes = {**(self.attributes or {}), **read(body)}
        except Exception:
            _log.exception("Attributes of a chat could not be read")

    def exception(self, error: BaseException) -> None:
        self.raised = described(error)
        self.error = f"{type(error).__name__}: {self.raised[1]}"

    def take(self) -> bytes:
        """Spans that have ended and are to leave with the answer. Here they leave on their own."""
        return b""

    def leave(self) -> None:
        """There is no answer: what would have left with it leaves alone."""

    def report(self, status: int, body: bytes) -> SpanReport | None:
        """An error answer that nobody reported is told from its status and text. None when there is nothing to say."""
        steps, error = self.take(), self.error
        if error is None and is_error(status):
            error = body[:1000].decode("utf-8", "replace").strip() or f"status {status}"
        if error is None and self.attributes is None:
            return SpanReport(steps) if steps else None
        return SpanReport(steps, self.attributes or {}, sendable(error), self.raised)
