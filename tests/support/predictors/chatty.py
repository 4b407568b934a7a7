"""A predictor that prints, logs, makes spans and fails on request, for tests of observability."""

from __future__ import annotations

import ctypes
import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
from opentelemetry import trace

from drum_litestar.observability.worker_setup import set_up_worker
from drum_litestar.predictors.protocol import (
    ModelCall,
    ModelCard,
    Predictor,
    Reply,
    StreamHead,
    StreamReply,
    TargetType,
)
from drum_litestar.predictors.steps import record_exception, report_chat, step

log = logging.getLogger("mylog")


class ChattySpec(msgspec.Struct, frozen=True):
    argv: tuple[str, ...] = ()


def build_in_worker(spec: ChattySpec, *, worker: int, context: Any, **options: Any) -> Predictor:
    """The pool's ``builder``: the worker is set up as for a model, with another predictor in it."""
    return set_up_worker(worker, None, **options)(ChattyPredictor())


class ChattyPredictor:
    def load(self) -> ModelCard:
        print("loading")
        return ModelCard(target_type=TargetType.REGRESSION)

    def close(self) -> None:
        log.info("closed")

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        if call.kind == "chat":
            assert call.body is not None
            report_chat("request", json.loads(call.body.read()))
            return StreamReply(StreamHead(), self._stream())
        with step("parse"):
            pass
        try:
            with step("model"):
                self._hook(fail=call.request_id == "fails")
        except ValueError as error:
            log.exception("the hook failed")
            record_exception(error)
            return Reply(status=500)
        with step("serialize"):
            return Reply(body=b"{}")

    def _hook(self, *, fail: bool) -> None:
        print("printed by the hook")
        ctypes.CDLL(None).puts(b"printed by native code")
        ctypes.CDLL(None).fflush(None)
        with trace.get_tracer("user").start_as_current_span("hook"):
            log.warning("logged by the hook")
        if fail:
            raise ValueError("first\n2026-11-20 21:55:28,772 ERROR drum:  forged")

    def _stream(self) -> Iterator[bytes]:
        for word in ("hel", "lo"):
            with trace.get_tracer("user").start_as_current_span("generator"):
                choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
                report_chat("chunk", {"model": "mm", "choices": [choice]})
                yield word.encode()
