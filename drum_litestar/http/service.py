"""One request's way to the executor and back: ticket, body, deadline, client that leaves, clean-up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final, cast

from drum_litestar.errors import (
    DeadlineExceededError,
    FormTooLargeError,
    ModelFailedError,
    ModelNotReadyError,
    QueueFullError,
    QueueTimeoutError,
    RequestError,
    is_error,
)
from drum_litestar.execution.executor import Executor, ReplyStream
from drum_litestar.execution.queue_limits import Ticket
from drum_litestar.http.app_options import AnyRequest, AnyResponse, AppOptions
from drum_litestar.http.bodies import ClientGoneError, Spool
from drum_litestar.http.exception_handlers import json_response
from drum_litestar.http.interrupts import Interrupt, watch_disconnect
from drum_litestar.http.payloads import Collector, Inbound, collect_nothing
from drum_litestar.http.replies import (
    Headers,
    SilentResponse,
    SingleChunk,
    UnusableReplyError,
    to_response,
)
from drum_litestar.http.spool import SpoolDirectory
from drum_litestar.predictors.protocol import CallKind, ModelCard, Reply
from drum_litestar.running_loop import RunningLoop
from drum_litestar.scope import BODY_RECEIVED, DEADLINE, ON_DISCONNECT, REQUEST_ID, SPAN, TICKET, TIMEOUT

logger = logging.getLogger(__name__)

STATE_KEY: Final = "model_service"
EXCHANGE: Final = "drum_litestar_exchange"
_WHY_NOT_LOADED: Final = {
    "failed": "Model failed to load",
    "draining": "Server is shutting down",
    "stopped": "Server is shutting down",
}
CLIENT_LEFT: Final = 499


class Exchange:
    """What one request holds until its answer has been sent. The application closes it, however the request ends."""

    __slots__ = ("spool", "stream", "ticket")

    def __init__(self, ticket: Ticket, spool: Spool) -> None:
        self.ticket = ticket
        self.spool = spool
        self.stream: ReplyStream | None = None

    async def aclose(self) -> None:
        """Give everything back; each step happens whatever the others do."""
        try:
            if self.stream is not None:
                await self.stream.aclose()
        finally:
            self.ticket.release()
            await self.spool.discard()


class ModelService:
    """The executor as controllers see it."""

    def __init__(self, executor: Executor, options: AppOptions, spool_directory: SpoolDirectory) -> None:
        self.executor = executor
        self.options = options
        self._spool_directory = spool_directory
        self._running_loop = RunningLoop()

    @classmethod
    def of(cls, request: AnyRequest) -> ModelService:
        """The service of the application that answers ``request``."""
        return cast("ModelService", request.app.state[STATE_KEY])

    def check_failure(self) -> None:
        """Raises ModelFailedError when the model could not be loaded and we are the error server (Q-22)."""
        if self.options.error_server and self.executor.state == "failed":
            raise ModelFailedError(str(self.executor.failure))

    def card(self) -> ModelCard:
        """The loaded model's description. Raises ModelNotReadyError until a worker has been ready once, and
        ModelFailedError as error server: every route of ours that needs a model passes here, or through
        :meth:`loaded_card`."""
        self.check_failure()
        card = self.executor.card
        if card is None:
            raise ModelNotReadyError(_WHY_NOT_LOADED.get(self.executor.state, "Model is still loading"))
        return card

    async def loaded_card(self, request: AnyRequest) -> ModelCard:
        """:meth:`card`, for calls of the model: while it loads for the first time they wait in the queue, with their
        body unread (:class:`drum_litestar.execution.load_queue.LoadQueue`), and what the route then answers is what it
        would have answered to a model that had been there already.

        Raises also QueueFullError, DeadlineExceededError, and ClientGoneError when the client leaves meanwhile.
        """
        if self.executor.card is None and self.executor.state == "starting":
            await self._wait_loaded(request.scope["state"])
        return self.card()

    async def _wait_loaded(self, state: dict[str, Any]) -> None:
        held: Ticket | None = state.get(TICKET)  # by the middleware, for the routes that read a body
        ticket = held or self.executor.admit()
        interrupt = Interrupt(self._running_loop())
        register = state.get(ON_DISCONNECT)  # the body is unread, so only the protocol itself can tell
        unwatch = register(lambda: interrupt.fire("disconnect")) if register is not None else None
        try:
            await self.executor.wait_loaded(ticket, state.get(DEADLINE))
        except asyncio.CancelledError:
            if not interrupt.absorb():
                raise
            raise ClientGoneError from None
        except DeadlineExceededError as error:
            raise (_deadline_error(state) if TIMEOUT in state else error) from None
        finally:
            if unwatch is not None:
                unwatch()
            if held is None:
                ticket.release()

    def check_readiness(self) -> None:
        """Raises ModelNotReadyError unless a call would be served now."""
        self.card()
        state = self.executor.state
        if state != "ready":
            stopping = state in ("draining", "stopped")
            raise ModelNotReadyError("Server is shutting down" if stopping else "No model worker is ready")

    async def probe(self, request: AnyRequest, kind: CallKind) -> AnyResponse:
        """Ask the predictor itself where it is one that answers probes; else ``OK``.

        No deadline: missing it would cost the worker its life. A full queue is no sign of death.
        """
        if self.card().probes_model:
            try:
                return await self.answer(request, kind, collect_nothing)
            except (QueueFullError, QueueTimeoutError):
                if kind == "readiness":
                    raise
        return json_response({"message": "OK"})

    async def answer(
        self,
        request: AnyRequest,
        kind: CallKind,
        collect: Collector,
        *,
        single_chunk: bool = False,
        extra: Headers = (),
    ) -> AnyResponse:
        """Collect the call, run it, and return its response.

        ``extra`` headers go onto answers below 400; with ``single_chunk`` those are streamed even when the model
        does not. Raises RequestError; a client that leaves gets silence.
        """
        started = time.perf_counter()
        status = 500
        try:
            reply = await self._run(request, kind, collect)
            if reply is None:
                status = CLIENT_LEFT
                return SilentResponse()
            status = reply.status if isinstance(reply, Reply) else reply.head.status
            if single_chunk and isinstance(reply, Reply) and status < 400:
                reply = SingleChunk(reply)
            return to_response(reply, extra=extra if status < 400 else ())
        except UnusableReplyError as error:
            status = 500
            logger.error("The model's answer cannot be sent: %s", error)
            return json_response({"message": f"ERROR: {error}"}, status=status)
        except RequestError as error:
            status = error.status
            if isinstance(error, FormTooLargeError) and self.options.on_rejected is not None:
                self.options.on_rejected("form_too_large")
            if (span := request.scope["state"].get(SPAN)) is not None and is_error(status):
                span.fail(str(error))
            raise
        finally:
            if self.options.on_observe is not None:
                self.options.on_observe(kind, status, time.perf_counter() - started)

    async def _run(self, request: AnyRequest, kind: CallKind, collect: Collector) -> Reply | ReplyStream | None:
        """The executor's answer, or None when the client has left."""
        scope, receive = request.scope, request.receive
        state: dict[str, Any] = scope["state"]
        card = self.card()
        ticket: Ticket = state.get(TICKET) or self.executor.admit()
        spool = Spool(self._spool_directory, self.options.limits, ticket.memory)
        exchange = state[EXCHANGE] = Exchange(ticket, spool)
        deadline: float | None = state.get(DEADLINE)
        loop = self._running_loop()
        interrupt = Interrupt(loop)
        cleanup: Callable[[], object] | None = None
        try:
            if deadline is not None and BODY_RECEIVED not in state:
                cleanup = loop.call_at(deadline, interrupt.fire, "deadline").cancel
            call = await collect(Inbound(scope, receive, card, self.options.limits, spool), kind)
            if cleanup is not None:
                cleanup()  # from here on the deadline is the executor's affair
            cleanup = watch_disconnect(state, receive, interrupt)
            reply = await self.executor.submit(call, ticket=exchange.ticket, deadline=deadline)
        except ClientGoneError:
            return None
        except asyncio.CancelledError:
            if not interrupt.absorb():
                raise
            if interrupt.reason == "disconnect":
                return None
            raise _deadline_error(state) from None
        except DeadlineExceededError as error:
            raise (_deadline_error(state) if TIMEOUT in state else error) from None
        finally:
            if cleanup is not None:
                cleanup()
        if (span := state.get(SPAN)) is not None:
            span.answered(reply if isinstance(reply, Reply) else reply.head)
        if isinstance(reply, Reply):
            await exchange.aclose()  # who has the answer may rely on the place being free again
        else:
            exchange.stream = reply
        return reply


def _deadline_error(state: dict[str, Any]) -> DeadlineExceededError:
    """In the words of the whole allowance, which only the middleware knows."""
    return DeadlineExceededError(state.get(TIMEOUT, 0.0), state.get(REQUEST_ID))
