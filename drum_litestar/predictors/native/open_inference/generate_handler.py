"""Triton's ``generate`` extension: one prompt in, the generated text out, at once or as a stream of events.

The prompt is a row of the data that ``/predict/`` gets, in the column of prompts. Parameters of the request are further
columns of this row, so that a hook finds them.
"""

from __future__ import annotations

import codecs
from typing import Callable, Final, Iterator, TypeVar, Union

import msgspec
import pandas as pd

from drum_litestar.context import WorkerStop
from drum_litestar.errors import BadRequestError, UnsupportedError
from drum_litestar.media_types import EVENT_STREAM, JSON
from drum_litestar.messages.inference_messages import GenerateRequest, GenerateResponse
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.predict_stream import Chunks, PredictStreamHandler
from drum_litestar.predictors.native.calls.structured import Predictions, StructuredHandler
from drum_litestar.predictors.native.open_inference.infer_answer import infer_error
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvTable
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, StreamHead, StreamReply
from drum_litestar.predictors.steps import step

_EVENTS: Final = f"{EVENT_STREAM}; charset=utf-8"

Answer = TypeVar("Answer", Reply, Union[Reply, StreamReply])

_decode = msgspec.json.Decoder(GenerateRequest).decode


class GenerateHandler:
    """Answers ``generate`` and ``generate_stream`` calls for one loaded model."""

    def __init__(self, loaded: LoadedModel, structured: StructuredHandler, streams: PredictStreamHandler) -> None:
        self._name = loaded.spec.model_name
        self._prompt_column = loaded.prompt_column
        self._structured = structured
        self._streams = streams
        self._chats_only = loaded.hooks.get("chat") is not None and loaded.hooks.get("score") is None

    def handle(self, call: ModelCall) -> Reply:
        """Answer with the whole text. Raises nothing but WorkerStop."""
        return _guarded(lambda: self._whole(call, self._object))

    def handle_stream(self, call: ModelCall) -> Reply | StreamReply:
        """Answer with an event for each chunk; with one event if the model does not stream. Raises nothing but
        WorkerStop."""
        return _guarded(lambda: self._stream(call))

    def _whole(
        self, call: ModelCall, encode: Callable[[GenerateRequest, str], bytes], content_type: str = JSON
    ) -> Reply:
        request = _read(call)
        if self._chats_only:
            raise UnsupportedError("the model only chats: its custom.py has no score hook; use /v1/chat/completions")

        def answer(predictions: Predictions) -> Reply:
            return Reply(body=encode(request, str(predictions.validated.column().iloc[0])), content_type=content_type)

        return self._structured.answer_table(self._row(request), call.body or Payload(data=b""), answer)

    def _stream(self, call: ModelCall) -> Reply | StreamReply:
        if not self._streams.available:
            return self._whole(call, self._event, _EVENTS)
        with step("parse"):
            request = _read(call)
            frame = self._row(request).frame()
        chunks = self._streams.chunks(self._structured.prepare(frame))
        return StreamReply(StreamHead(content_type=_EVENTS), _Events(chunks, lambda text: self._event(request, text)))

    def _row(self, request: GenerateRequest) -> CsvTable:
        parameters = request.parameters or {}
        if self._prompt_column in parameters:
            raise BadRequestError(f"parameter {self._prompt_column!r} is the prompt's column, which text_input fills")
        cells = {**parameters, self._prompt_column: request.text_input}
        return CsvTable(pd.Index(list(cells)), [pd.Series([cell]).array for cell in cells.values()])

    def _object(self, request: GenerateRequest, text: str) -> bytes:
        shown = msgspec.UNSET if request.id is None else request.id
        return msgspec.json.encode(GenerateResponse(id=shown, model_name=self._name, text_output=text))

    def _event(self, request: GenerateRequest, text: str) -> bytes:
        return b"data: %b\n\n" % self._object(request, text)


class _Events(Iterator[bytes]):
    """An event for each chunk that completes a character."""

    def __init__(self, chunks: Chunks, event: Callable[[str], bytes]) -> None:
        self._chunks = chunks
        self._event = event
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def __next__(self) -> bytes:
        while True:
            text = self._decode(next(self._chunks))
            if text:
                return self._event(text)

    def close(self) -> None:
        """Stop the producer."""
        self._chunks.close()


def _guarded(answer: Callable[[], Answer]) -> Answer:
    try:
        return answer()
    except WorkerStop:
        raise
    except BaseException as error:  # SystemExit of a hook too
        return infer_error(error)


def _read(call: ModelCall) -> GenerateRequest:
    body = b"" if call.body is None else call.body.read()
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequestError(f'not a request to generate, {{"text_input": "..."}}: {error}') from None
