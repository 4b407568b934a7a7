"""Loaded native predictors for the request tests, and short ways to make calls."""

from __future__ import annotations

import json
from typing import Any

from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, StreamReply


def payload(data: bytes | str, **fields: Any) -> Payload:
    """An in-memory payload; text is UTF-8."""
    raw = data.encode("utf-8") if isinstance(data, str) else data
    return Payload(data=raw, size=len(raw), **fields)


def csv_call(
    text: bytes | str, *, mimetype: str | None = "text/csv", kind: Any = "predict", **fields: Any
) -> ModelCall:
    """A structured call with a raw body."""
    return ModelCall(kind=kind, x=payload(text, mimetype=mimetype), **fields)


def chat_call(body: bytes | str, **fields: Any) -> ModelCall:
    return ModelCall(kind="chat", body=payload(body, mimetype="application/json"), **fields)


def openai_call(kind: Any, params: Any, **fields: Any) -> ModelCall:
    """A call with the JSON of ``params``."""
    return ModelCall(kind=kind, body=payload(json.dumps(params), mimetype="application/json"), **fields)


def summary(answer: Reply | StreamReply) -> tuple[int, str | None, bytes, dict[str, str]]:
    """Status, content type, whole body and headers of either kind of answer."""
    if isinstance(answer, Reply):
        return answer.status, answer.content_type, answer.body, dict(answer.headers)
    body = b"".join(answer.chunks)
    answer.close()
    return answer.head.status, answer.head.content_type, body, dict(answer.head.headers)
