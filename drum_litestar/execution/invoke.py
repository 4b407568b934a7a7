"""Calling a predictor safely, wherever it lives: nothing that user code does may escape as an exception."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Protocol

from drum_litestar.dialects import framework_json
from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Predictor, Reply, StreamReply

_log = logging.getLogger(__name__)


class PredictorSource(Protocol):
    """Anything that builds a predictor; :class:`drum_litestar.predictors.spec.PredictorSpec` is one."""

    def build(self) -> Predictor: ...


def load(build: Callable[[], Predictor]) -> tuple[Predictor, ModelCard]:
    """A loaded predictor and its card. Raises ModelLoadError, whatever user code raised (``sys.exit`` included)."""
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
            if not exc.detail:
                exc.detail = traceback.format_exc()
            raise
        message = f"the model called sys.exit({exc.code!r}) while loading" if isinstance(exc, SystemExit) else str(exc)
        raise ModelLoadError(message or type(exc).__name__, detail=traceback.format_exc()) from exc


def close(predictor: Predictor) -> None:
    """Release the predictor; a failure is logged, because there is nobody left to tell."""
    try:
        predictor.close()
    except (Exception, SystemExit):
        _log.exception("The predictor failed to close")


def invoke(predictor: Predictor, call: ModelCall) -> Reply | StreamReply:
    """The predictor's answer; an exception that it let through becomes DRUM's 500 (contract, 3.3)."""
    try:
        return predictor.handle(call)
    except (Exception, SystemExit) as exc:
        _log.exception("The predictor raised")
        words = f"sys.exit({exc.code!r})" if isinstance(exc, SystemExit) else str(exc) or type(exc).__name__
        return Reply(status=500, body=framework_json({"message": f"ERROR: {words}"}))
