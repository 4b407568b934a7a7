"""Path of a request to the executor and back: ticket, body, deadline, disconnect, resources."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from drum_litestar.errors import (
    DeadlineExceededError,
    FormTooLargeError,
    ModelNotReadyError,
    QueueFullError,
    QueueTimeoutError,
    RequestError,
)
from drum_litestar.execution.executor import Executor, ReplyStream
from drum_litestar.execution.queue_limits import Place, Ticket
from drum_litestar.http.app_options import AnyRequest, AnyResponse, AppOptions
from drum_litestar.http.bodies import ClientGoneError, Spool
from drum_litestar.http.interrupts import Interrupt, watch_disconnect
from drum_litestar.http.payloads import Collector, Inbound, collect_nothing
from drum_litestar.http.replies import (
    Headers,
    NoResponse,
    SingleChunk,
    UnusableReplyError,
    error_response,
    ok_response,
    server_timing,
    to_response,
)
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.middleware.asgi import CLIENT_CLOSED
from drum_litestar.predictors.protocol import CallKind, ModelCard, Reply
from drum_litestar.predictors.steps import QUEUE
from drum_litestar.request_state import Place as RequestPlace
from drum_litestar.request_state import RequestState, request_state

logger = logging.getLogger(__name__)

_SHUTTING_DOWN: Final = dict.fromkeys(("draining", "stopped"), "Server is shutting down")
LEAVING: Final = "Server is shutting down; requests are still answered"
_NOT_LOADED: Final = {"failed": "Model failed to load", **_SHUTTING_DOWN}


class RequestResources:
    """Place, spool files and stream of one request, held until its response has been sent.

    The application closes them, however the request ends.
    """

    __slots__ = ("place", "spool", "stream")

    def __init__(self, place: RequestPlace, spool: Spool) -> None:
        self.place = place
        self.spool = spool
        self.stream: ReplyStream | None = None

    async def aclose(self) -> None:
        """Close the stream, give back the place, remove the spool files; an error in one does not skip the others."""
        try:
            if self.stream is not None:
                await self.stream.aclose()
        finally:
            self.place.give_back()
            await self.spool.discard()


class ModelService:
    """Interface of the executor for controllers."""

    def __init__(self, executor: Executor, options: AppOptions, spool_directory: SpoolDirectory) -> None:
        self.executor = executor
        self.options = options
        self._spool_directory = spool_directory
        self.large_conversion = asyncio.Lock()
        """Held while a large message is converted, which takes a multiple of its memory."""

    def card(self) -> ModelCard:
        """Return the loaded model's card.

        Every route that needs a model calls this or :meth:`loaded_card`. Raises ModelNotReadyError until a worker has
        been ready once, and ModelFailedError as ``Executor.check_failure`` does.
        """
        self.executor.check_failure()
        card = self.executor.card
        if card is None:
            raise ModelNotReadyError(_NOT_LOADED.get(self.executor.state, "Model is still loading"))
        return card

    async def loaded_card(self, request: AnyRequest) -> ModelCard:
        """Return the card as :meth:`card` does, but wait while the model loads for the first time.

        The call waits with its body unread (:class:`drum_litestar.execution.loading_queue.LoadingQueue`) and is then
        answered as if the model had been loaded before. Raises also QueueFullError, DeadlineExceededError, and
        ClientGoneError when the client disconnects meanwhile.
        """
        if self.executor.card is None and self.executor.state == "starting":
            await self._wait_loaded(request_state(request.scope))
        return self.card()

    async def _wait_loaded(self, request: RequestState) -> None:
        # ``/directAccess/`` needs the model, but no place among its calls except for this wait.
        place = request.place or Place(self.executor.admit)
        ticket = place.take()
        interrupt = Interrupt()
        register = request.on_disconnect  # the body is unread, so only the protocol itself can tell
        unwatch = register(lambda: interrupt.fire("disconnect")) if register is not None else None
        try:
            await self.executor.wait_loaded(ticket, request.deadline)
        except asyncio.CancelledError:
            if not interrupt.absorb():
                raise
            raise ClientGoneError from None
        except DeadlineExceededError as error:
            raise _deadline_error(request, error) from None
        finally:
            if unwatch is not None:
                unwatch()
            if request.place is None:
                place.give_back()

    def check_readiness(self) -> None:
        """Raises ModelNotReadyError, with the reason, unless a call would be served now, and more calls are wanted."""
        self.card()
        state = self.executor.state
        if self.options.leaving():
            raise ModelNotReadyError(_SHUTTING_DOWN.get(state, LEAVING))
        if state != "ready":
            raise ModelNotReadyError(_SHUTTING_DOWN.get(state) or self._no_worker())
        if self.options.ready_queue is not None:
            self._check_queue(self.options.ready_queue)

    def _no_worker(self) -> str:
        if self.executor.folder_error:  # the reason itself may be for the operator only, and a probe needs no token
            return "No model worker is ready: the model folder cannot be loaded any more; the log and /stats/ say why"
        stats = self.executor.stats()
        if stuck := stats["executor_stuck"]:
            held = f"{stuck} of {stats['executor_slots']} slots"
            return f"No model worker is ready: calls past their deadline hold {held}"
        return "No model worker is ready"

    def _check_queue(self, share: float) -> None:
        stats = self.executor.stats()
        waiting, most = stats["executor_queue_depth"], stats["executor_max_queue"]
        if most and waiting >= share * most:
            raise ModelNotReadyError(f"{waiting} of {most} places in the queue are taken (DRUM_READY_QUEUE)")

    async def probe(self, request: AnyRequest, kind: CallKind) -> AnyResponse:
        """Forward a probe to a predictor that answers probes; else answer ``OK``.

        Without a deadline, because a worker that misses one is killed. A full queue does not fail liveness.
        """
        if self.card().probes_model:
            try:
                return await self.answer(request, kind, collect_nothing)
            except (QueueFullError, QueueTimeoutError):
                if kind == "readiness":
                    raise
        return ok_response()

    async def answer(
        self,
        request: AnyRequest,
        kind: CallKind,
        collect: Collector,
        *,
        single_chunk: bool = False,
        extra: Headers = (),
    ) -> AnyResponse:
        """Collect the call, run it, and return its response; none is sent to a client that has disconnected.

        Responses below 400 get the ``extra`` headers, and with ``single_chunk`` they are sent as a stream even if the
        model does not stream. Raises RequestError.
        """
        started = time.perf_counter()
        status = 500
        try:
            reply = await self._run(request, kind, collect)
            if reply is None:
                status = CLIENT_CLOSED
                return NoResponse()
            head = reply if isinstance(reply, Reply) else reply.head
            status = head.status
            if status >= 500 and isinstance(head, Reply):
                self._report_failure(request, status, head)
            times = server_timing(head.steps) if head.steps else ()
            if single_chunk and isinstance(reply, Reply) and status < 400:
                reply = SingleChunk(reply)
            return to_response(reply, extra=(*times, *extra) if status < 400 else times)
        except UnusableReplyError as error:
            status = 500
            logger.error("The model's answer cannot be sent: %s", error)
            if (span := request_state(request.scope).span) is not None:
                span.fail(str(error))
            return error_response(request, {"message": f"ERROR: {error}"}, status=status)
        except RequestError as error:
            status = error.status
            if status >= 500:
                self._report_failure(request, status, error)
            if isinstance(error, FormTooLargeError) and self.options.on_rejected is not None:
                self.options.on_rejected("form_too_large")
            raise
        finally:
            if self.options.on_observe is not None:
                self.options.on_observe(kind, status, time.perf_counter() - started)

    def _report_failure(self, request: AnyRequest, status: int, answer: Reply | RequestError) -> None:
        if self.options.console is not None:
            self.options.console.call_failed(request_state(request.scope), status, answer)

    async def _run(self, request: AnyRequest, kind: CallKind, collect: Collector) -> Reply | ReplyStream | None:
        """Return the executor's reply, None when the client has disconnected."""
        scope, receive = request.scope, request.receive
        state = request_state(scope)
        card = self.card()
        # None: a middleware of the model's extension has changed the path to that of another route.
        place = state.place or Place(self.executor.admit)
        ticket: Ticket = place.take()
        spool = Spool(self._spool_directory, self.options.uploads, ticket.memory)
        resources = state.resources = RequestResources(place, spool)
        deadline = state.deadline
        loop = asyncio.get_running_loop()
        interrupt = Interrupt()
        cleanup: Callable[[], object] | None = None
        try:
            if deadline is not None and not state.body_received:
                cleanup = loop.call_at(deadline, interrupt.fire, "deadline").cancel
            call = await collect(Inbound(scope, receive, card, self.options.uploads, spool), kind)
            if (console := self.options.console) is not None:
                call = console.noted(call, scope["headers"])
            if cleanup is not None:
                cleanup()  # from here on the executor keeps the deadline
            cleanup = watch_disconnect(state, receive, interrupt)
            reply = await self.executor.submit(call, ticket=ticket, deadline=deadline)
            if call.timed:
                head = reply if isinstance(reply, Reply) else reply.head
                head.steps = {QUEUE: ticket.queued, **head.steps}
        except ClientGoneError:
            return None
        except asyncio.CancelledError:
            if not interrupt.absorb():
                raise
            if interrupt.reason == "disconnect":
                return None
            raise _deadline_error(state) from None
        except DeadlineExceededError as error:
            raise _deadline_error(state, error) from None
        finally:
            if cleanup is not None:
                cleanup()
        if (span := state.span) is not None:
            span.answered(reply if isinstance(reply, Reply) else reply.head)
        if isinstance(reply, Reply):
            await resources.aclose()  # before the response: the client may send its next request at once
        else:
            resources.stream = reply
        return reply


def _deadline_error(request: RequestState, error: DeadlineExceededError | None = None) -> DeadlineExceededError:
    """Build the 504 with the request's whole timeout, if the request has one; else ``error`` is returned."""
    if request.timeout is None and error is not None:
        return error
    return DeadlineExceededError(request.timeout or 0.0, request.request_id or None)
