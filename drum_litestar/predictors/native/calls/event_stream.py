"""Chunks of an answer as server-sent events, exactly as OpenAI's client expects them (contract, 3.10)."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from typing import Any, Callable, Iterator

from drum_litestar.context import WorkerStop
from drum_litestar.predictors.native.calls.error_replies import describe, hint_of, http_status
from drum_litestar.predictors.native.hooks.hook_loop import Source
from drum_litestar.predictors.native.hooks.user_errors import is_user_error
from drum_litestar.predictors.steps import record_exception
from drum_litestar.settings.masking import masked

ASSOCIATION_ID = "datarobot_association_id"
_DONE = b"data: [DONE]\n\n"

logger = logging.getLogger("drum")


class EventStream(Iterator[bytes]):
    """One event per chunk, then ``[DONE]``.

    An error in mid-stream becomes an ``{"error": ...}`` event and the stream ends without ``[DONE]`` (contract,
    section 8, Q-16). ``close`` may be called from another thread than the one that iterates.
    """

    def __init__(self, source: Source, encode: Callable[[Any], str], first: Sequence[Any] = ()) -> None:
        """``encode`` makes JSON of a chunk. ``first``: chunks already pulled from ``source``. They are encoded here, so
        that errors become the reply."""
        self._source = source
        self._encode = encode
        self._pending = [self._event(chunk) for chunk in first]
        self._ended = False
        self._lock = threading.Lock()

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        try:
            return self._pending.pop(0) if self._pending else self._event(next(self._source))
        except StopIteration:
            if self._end():
                return _DONE
            raise
        except WorkerStop:
            self.close()
            raise
        except BaseException as error:
            hint = hint_of(error)
            logger.error("%s%s", describe(error), f" ({hint})" if hint else "", exc_info=error)
            record_exception(error)
            self.close()
            return _error_event(error)

    def close(self) -> None:
        """Stop the producer; its ``finally`` blocks run. Idempotent."""
        if self._end():
            self._source.close()

    def _end(self) -> bool:
        """Mark the stream as ended. True for the first caller only."""
        with self._lock:
            ended, self._ended = self._ended, True
        return not ended

    def _event(self, chunk: Any) -> bytes:
        return _data(self._encode(chunk))


def _data(text: str) -> bytes:
    # bytes.splitlines splits only at the line ends of event streams; str.splitlines splits at U+2028 too.
    lines = text.encode().splitlines() or [b""]
    return b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"


def _error_event(error: BaseException) -> bytes:
    user = is_user_error(error)
    message, code = user if user is not None else (describe(error), http_status(error) or 500)
    body = {"error": {"message": masked(message), "type": "server_error", "param": None, "code": code}}
    return _data(json.dumps(body, separators=(",", ":")))


def set_association_id(answer: Any, association_id: Any) -> dict[str, Any]:
    """Set the id on ``answer`` as an extra field. If the object refuses it, return a dict to merge into its JSON."""
    if isinstance(extra := getattr(answer, "model_extra", None), dict):  # what setattr() takes 10 us for
        extra[ASSOCIATION_ID] = association_id
        return {}
    try:
        setattr(answer, ASSOCIATION_ID, association_id)
    except (AttributeError, TypeError, ValueError):
        return {ASSOCIATION_ID: association_id}
    return {}


def as_dict(answer: Any) -> dict[str, Any]:
    """An OpenAI object, or one with the same attributes, as a dict of JSON values."""
    for method, options in (("to_dict", {}), ("model_dump", {"mode": "json", "exclude_unset": True})):
        convert = getattr(answer, method, None)
        if convert is not None:
            return dict(convert(**options))
    return {name: plain(value) for name, value in vars(answer).items()}


def plain(value: Any) -> Any:
    """``value`` with OpenAI's objects in it as dicts of JSON values."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    return as_dict(value)


def chunk_json(chunk: Any, extra: dict[str, Any]) -> str:
    """The chunk in its own JSON, compact; with the ``extra`` fields where it could not take them."""
    if not extra:
        if hasattr(chunk, "to_json"):
            return str(chunk.to_json(indent=None))
        if hasattr(chunk, "model_dump_json"):
            return str(chunk.model_dump_json(exclude_unset=True))
    return json.dumps({**as_dict(chunk), **extra}, separators=(",", ":"), ensure_ascii=False)
