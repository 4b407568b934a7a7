"""Ids of traces and spans."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanContext


class Ids(IdGenerator):  # type: ignore[misc]
    """Random ids, from a generator of their own: a hook that seeds ``random`` neither repeats nor loses numbers.

    Inside :meth:`chosen` the next span of this thread, and its trace if it starts one, has the ids told.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        random = Random()
        self.bits = random.getrandbits
        os.register_at_fork(after_in_child=random.seed)

    @contextmanager
    def chosen(self, context: SpanContext) -> Iterator[None]:
        self._local.context = context
        try:
            yield
        finally:
            self._local.context = None

    def generate_trace_id(self) -> int:
        context: SpanContext | None = getattr(self._local, "context", None)
        return self.bits(128) or 1 if context is None else context.trace_id

    def generate_span_id(self) -> int:
        context: SpanContext | None = getattr(self._local, "context", None)
        self._local.context = None
        return self.random_id() if context is None else context.span_id

    def random_id(self) -> int:
        """Of a span."""
        return self.bits(64) or 1

    def random_ids(self, count: int) -> tuple[int, ...]:
        """Of ``count`` spans."""
        return struct.unpack(f"{count}Q", self.bits(64 * count).to_bytes(8 * count, "big"))

    def is_trace_id_random(self) -> bool:
        """Whether W3C's flag for that may be set."""
        return True
