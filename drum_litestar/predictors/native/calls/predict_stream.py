"""Streamed predictions (``/predictionsStream/``): chunks as the model yields them, else the structured answer.

A model streams when ``custom.py`` defines ``predict_stream(data, model)`` or the model object has a method
``predict_stream(data)``. Either yields text (sent as UTF-8) or bytes, or is asynchronous and yields the same.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Iterator

from drum_litestar.context import WorkerStop
from drum_litestar.predictors.native.calls.error_replies import describe
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.structured import StructuredHandler
from drum_litestar.predictors.native.formats.inputs import read_input
from drum_litestar.predictors.native.hooks.hook_loop import Source
from drum_litestar.predictors.native.hooks.user_errors import run_stage
from drum_litestar.predictors.protocol import ModelCall, Reply, StreamHead, StreamReply

_HOOK = "predict_stream"
_STREAMING_HEADER = (("X-Streaming", "true"),)
_CONTENT_TYPE = "text/plain; charset=utf-8"
_FAILURE = "Model 'predict_stream' hook failed to make predictions."
_END = object()

logger = logging.getLogger("drum")


class PredictStreamHandler:
    """Answers streaming calls for one loaded model."""

    def __init__(self, loaded: LoadedModel, structured: StructuredHandler) -> None:
        self._loaded = loaded
        self._structured = structured
        self._method: Any = getattr(loaded.model, _HOOK, None)

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        """Answer one streaming call. Errors before the first chunk are raised, as in a plain prediction."""
        if not self.available:
            reply = self._structured.handle(call)
            reply.headers += _STREAMING_HEADER
            return reply
        source = self._structured.parse(call)
        data = self._structured.prepare(read_input(source, self._loaded.hooks, self._loaded.parse_csv))
        return StreamReply(StreamHead(content_type=_CONTENT_TYPE, headers=_STREAMING_HEADER), self.chunks(data))

    @property
    def available(self) -> bool:
        """The model streams, and no guards need its whole answers."""
        unguarded = self._loaded.moderation is None
        return unguarded and (self._loaded.hooks.get(_HOOK) is not None or callable(self._method))

    def chunks(self, data: Any) -> Chunks:
        """What the model makes of ``data``, the first one pulled already. Raises StageError."""
        produced = self._loaded.hooks.iterate(run_stage(_FAILURE, self._start, data))
        try:
            first = run_stage(_FAILURE, next, produced, _END)
        except BaseException:
            produced.close()
            raise
        return Chunks(produced, [] if first is _END else [first])

    def _start(self, data: Any) -> Any:
        if self._loaded.hooks.get(_HOOK) is not None:
            return self._loaded.hooks.call(_HOOK, data, self._loaded.model)
        return self._loaded.hooks.run(self._method, data)


class Chunks(Iterator[bytes]):
    """The producer's items as bytes. An error in mid-stream is logged and truncates the answer."""

    def __init__(self, source: Source, first: list[Any]) -> None:
        self._source = source
        self._pending = first
        self._lock = threading.Lock()
        self._closed = False

    def __next__(self) -> bytes:
        try:
            item = self._pending.pop(0) if self._pending else next(self._source)
            return _to_bytes(item)
        except StopIteration:
            raise
        except WorkerStop:
            self.close()
            raise
        except BaseException as error:
            logger.error("%s", describe(error), exc_info=error)
            self.close()
            raise RuntimeError(f"The stream of predictions broke: {describe(error)}") from error

    def close(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self._source.close()


def _to_bytes(item: Any) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode("utf-8")
    raise TypeError(f"predict_stream must yield str or bytes, but yielded {type(item)}")
