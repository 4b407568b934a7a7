"""Safe calls of a predictor, in any process: no exception of user code may escape."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import List, NamedTuple

from drum_litestar.drum_json import drum_json
from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.protocol import (
    BatchPredictor,
    ModelCall,
    ModelCard,
    Predictor,
    Reply,
    StreamReply,
    batch_predictor,
)
from drum_litestar.predictors.steps import CallNotes, record_exception
from drum_litestar.request_context import request_id_var
from drum_litestar.tracebacks import format_exception

_log = logging.getLogger(__name__)


def load(build: Callable[[], Predictor]) -> tuple[Predictor, ModelCard]:
    """A loaded predictor and its card. Raises ModelLoadError for whatever user code raises, ``sys.exit`` included."""
    predictor: Predictor | None = None
    try:
        predictor = build()
        return predictor, predictor.load()
    except BaseException as exc:
        if predictor is not None:
            close(predictor)
        if not isinstance(exc, (Exception, SystemExit)):
            raise
        if isinstance(exc, ModelLoadError):
            if not exc.detail and exc.__cause__ is not None:  # else its text is complete
                exc.detail = format_exception(exc)
            raise
        message = f"the model called sys.exit({exc.code!r}) while loading" if isinstance(exc, SystemExit) else str(exc)
        raise ModelLoadError(message or type(exc).__name__, detail=format_exception(exc)) from exc


def close(predictor: Predictor) -> None:
    """Release the predictor; a failure is only logged, because no caller is left."""
    try:
        predictor.close()
    except (Exception, SystemExit):
        _log.exception("The predictor failed to close")


def invoke(predictor: Predictor, call: ModelCall) -> Reply | StreamReply:
    """The predictor's answer; an exception that it raises becomes DRUM's 500 (contract, 3.3)."""
    if not (call.timed or call.explained):
        return _answer(predictor, call)
    notes = CallNotes(times=call.timed, traceback=call.explained)
    with notes.taken():
        answer = _answer(predictor, call)
    head = answer if isinstance(answer, Reply) else answer.head
    head.steps = notes.seconds
    if isinstance(head, Reply):
        head.traceback = notes.traceback
    return answer


def _answer(predictor: Predictor, call: ModelCall) -> Reply | StreamReply:
    try:
        return predictor.handle(call)
    except (Exception, SystemExit) as exc:
        _log.exception("The predictor raised")
        record_exception(exc)
        text = f"sys.exit({exc.code!r})" if isinstance(exc, SystemExit) else str(exc) or type(exc).__name__
        return Reply(status=500, body=drum_json({"message": f"ERROR: {text}"}))


class BatchPart(NamedTuple):
    """Answers to some members of a batch, in the order of the members."""

    first: int
    """Index of the first of these members."""
    replies: List[Reply]
    seconds: float
    """The model's own time for these."""
    batched: bool
    """All were answered by one call of the model."""
    batching: bool
    """False: the predictor batches no calls any more."""
    last: bool


def invoke_batch(predictor: Predictor, calls: Sequence[ModelCall]) -> Iterator[BatchPart]:
    """Answers to ``calls``: all at once, or one by one as they are computed where batching is not possible or fails."""
    began = time.perf_counter()
    request_id_var.set(f"{calls[0].request_id}+{len(calls) - 1}")
    batches = batch_predictor(predictor)
    replies = _try_batch(batches, calls) if batches is not None else None
    batching = batches is not None and batches.batching
    if replies is not None:
        yield BatchPart(0, replies, time.perf_counter() - began, True, batching, True)
    else:
        for number, call in enumerate(calls):
            began = time.perf_counter()
            request_id_var.set(call.request_id)
            reply = invoke(predictor, call)
            if isinstance(reply, StreamReply):  # the predictor breaks its protocol: no prediction is a stream
                reply.close()
                reply = Reply(status=500, body=drum_json({"message": "ERROR: A prediction cannot be a stream"}))
            yield BatchPart(number, [reply], time.perf_counter() - began, False, batching, number == len(calls) - 1)
    request_id_var.set("")


def _try_batch(predictor: BatchPredictor, calls: Sequence[ModelCall]) -> list[Reply] | None:
    try:
        replies = predictor.handle_batch(calls)
    except (Exception, SystemExit):
        _log.exception("A batch failed; its %d calls run singly", len(calls))
        return None
    if replies is not None and len(replies) != len(calls):
        _log.error(
            "The predictor gave %d answers to a batch of %d calls; these are run singly", len(replies), len(calls)
        )
        return None
    return replies
