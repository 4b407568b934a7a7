"""The server of one replica: the composition of ``drum-litestar server`` without sockets and signals.

Nothing here knows Ray; :mod:`drum_litestar.integrations.ray.replica` connects it.
"""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from typing import Any, Final

import msgspec

from drum_litestar.errors import ModelLoadError, ModelNotReadyError, PredictionError, RequestError, UnprocessableError
from drum_litestar.execution.observer import ExecutorObserver
from drum_litestar.execution.queue_limits import Place
from drum_litestar.integrations.ray.autoscaling import BUSY, SLOTS
from drum_litestar.integrations.ray.serve_edge import RayEdge
from drum_litestar.launcher.bootstrap import Server
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.launcher.preparation import with_worker_python
from drum_litestar.media_types import CSV
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.observability.logs.setup import WorkerOutput
from drum_litestar.predictors.protocol import (
    CSV_HEADER,
    CallKind,
    ModelCall,
    ModelCard,
    Payload,
    Reply,
    TargetType,
)
from drum_litestar.server.shutdown import ServerHandle

_DRAINING: Final = ("draining", "stopped")


class ReplicaServer:
    """Executor, middleware and application, and what Ray asks of a replica. Use it on one event loop."""

    def __init__(self, plan: LaunchPlan, logs: WorkerOutput, observer: ExecutorObserver | None = None) -> None:
        """Raises StartupError, one line, when no predictor or no interpreter can serve the folder."""
        self._plan = plan = with_worker_python(plan)
        for notice in plan.notices:
            notice.log()
        self._server = Server(plan, (), logs, observer)
        self.executor = self._server.executor
        self._handle = ServerHandle()

    def application(self) -> ASGIApp:
        """The application. Its lifespan loads the model, and stops it."""
        return RayEdge(self._server.application(), self._load)

    async def _load(self) -> None:
        await self._server.started(self._handle)
        assert self._server.loaded is not None
        await self._server.loaded

    def check_health(self) -> None:
        """Raises ModelLoadError when the model cannot be loaded, or no worker can be kept alive.

        A worker that died and is being replaced is no reason: calls wait for the new one. Nor is a failed load with an
        error server, whose answer is the reason.
        """
        executor = self.executor
        if self._plan.with_error_server or executor.state in _DRAINING:
            return
        if (failure := self._server.failure or executor.failure) is not None:
            raise failure
        if self._handle.stopping:
            raise ModelLoadError("No model worker can be kept alive")
        if executor.state == "unready" and executor.folder_error:
            raise ModelLoadError(f"No model worker is left, and the folder cannot be loaded: {executor.folder_error}")

    async def reload(self) -> None:
        """Load the model folder again, make-before-break. A failure is logged, and the model goes on as it was."""
        await self._server.model_reload.run()

    def autoscaling_stats(self) -> dict[str, float]:
        """What :func:`~drum_litestar.integrations.ray.autoscaling.queue_policy` needs."""
        stats = self.executor.stats()
        return {BUSY: float(stats["executor_pending"]), SLOTS: float(stats["executor_slots"])}

    async def predict(self, data: Any, content_type: str = CSV) -> Any:
        """Ask the model without HTTP: bytes (of ``content_type``) for the body of the answer, a pandas DataFrame for a
        DataFrame with the columns of ``drum-litestar predict``.

        Only requests over HTTP pass the middleware: there is no token, no rate limit and no limit of size here. Raises
        PredictionError with the status that HTTP would have had.
        """
        if isinstance(data, bytes | bytearray | memoryview):
            return (await self._ask(bytes(data), content_type)).body
        reply = await self._ask(data.to_csv(index=False).encode(), CSV, frame=True)
        import pandas as pd  # the caller's frame has imported it

        return pd.read_csv(io.BytesIO(dict(reply.headers)[CSV_HEADER].encode() + reply.body))

    async def _ask(self, body: bytes, content_type: str, *, frame: bool = False) -> Reply:
        """The complete reply. Raises PredictionError."""
        started, status = time.perf_counter(), 500
        kind: CallKind = "predict"
        place = Place(self.executor.admit)
        try:
            ticket = place.take()
            call = _call(self._card(), body, content_type, frame=frame)
            kind = call.kind
            timeout = self._plan.settings.timeouts.request_timeout
            deadline = asyncio.get_running_loop().time() + timeout if timeout else None
            found = await self.executor.submit(call, ticket=ticket, deadline=deadline)
            assert isinstance(found, Reply)  # calls of these kinds have no streams
            status = found.status
            if status >= 400:
                raise PredictionError(status, _message(found.body))
            return found
        except RequestError as error:
            status = error.status
            raise PredictionError(status, str(error)) from None
        finally:
            place.give_back()
            self._server.telemetry.observer.call_answered(kind, status, time.perf_counter() - started)

    def _card(self) -> ModelCard:
        self.executor.check_failure()
        card = self.executor.card
        if card is None:
            raise ModelNotReadyError("Model is still loading")
        return card


def _message(body: bytes) -> str:
    """What the body of an error says."""
    try:
        return str(msgspec.json.decode(body)["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body.decode("utf-8", "replace")


def _call(card: ModelCard, body: bytes, content_type: str, *, frame: bool) -> ModelCall:
    """The call of the kind that the model's target type answers. Raises UnprocessableError."""
    payload = Payload(data=body, size=len(body), mimetype=content_type)
    request_id = str(uuid.uuid4())
    if card.target_type is TargetType.UNSTRUCTURED:
        if frame:
            raise UnprocessableError("an unstructured model takes bytes, not a frame")
        return ModelCall(kind="unstructured", request_id=request_id, body=payload)
    kind: CallKind = "transform" if card.target_type is TargetType.TRANSFORM else "predict"
    return ModelCall(kind="score" if frame else kind, request_id=request_id, x=payload)
