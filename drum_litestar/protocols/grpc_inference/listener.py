"""The gRPC port: a second listener on the event loop, whose calls the middleware stack answers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_reflection.v1alpha import reflection

from drum_litestar.errors import RequestError, StartupError
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.protocols.grpc_inference.exchange import Answer, Exchange, Read, headers_of
from drum_litestar.protocols.grpc_inference.grpc_routes import STREAM_INFER, UNARY_ROUTES
from drum_litestar.protocols.grpc_inference.health_messages import watch_health
from drum_litestar.protocols.grpc_inference.infer_call import converted
from drum_litestar.protocols.grpc_inference.message_fields import request_id
from drum_litestar.protocols.grpc_inference.protobuf_messages import HEALTH, SERVICE, inference, pool
from drum_litestar.protocols.grpc_inference.statuses import status_code, status_text, trailing_metadata
from drum_litestar.server.sockets import describe, format_address

if TYPE_CHECKING:
    from drum_litestar.settings.groups.edge import TlsSettings

STREAMS: Final = 1024
"""Most calls that run at once on one connection; the client's library lets more wait."""
FLUSH_SECONDS: Final = 1.0
"""For answers that are still to be sent when the last call has ended."""

_logger: Final = logging.getLogger(__name__)


class GrpcListener:
    """Serves ``app``, a middleware stack over the routes of the protocol, to gRPC clients."""

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        *,
        ready: Callable[[str], bool | None],
        may_stream: Callable[[Sequence[tuple[bytes, bytes]]], bool],
        on_closed: Callable[[], Awaitable[None]],
        max_message: int,
        max_metadata: int,
        tls: TlsSettings,
        turn: asyncio.Lock,
    ) -> None:
        """``sockets`` keep the addresses until :meth:`open`. ``ready``: as
        :func:`drum_litestar.protocols.grpc_inference.grpc_routes.service_ready`. ``may_stream``: whether headers have
        the token. ``on_closed`` is awaited at the end. ``max_message`` and ``max_metadata`` in bytes. ``turn``: as
        of :func:`drum_litestar.protocols.grpc_inference.infer_call.converted`."""
        self._app = app
        self._sockets = sockets
        self._ready = ready
        self._may_stream = may_stream
        self._on_closed = on_closed
        self._options = [
            ("grpc.so_reuseport", 0),  # two servers on one port are a mistake
            ("grpc.max_receive_message_length", max_message),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", STREAMS),
            ("grpc.max_metadata_size", max_metadata),
            ("grpc.absolute_max_metadata_size", max_metadata),
        ]
        self._tls = tls
        self._turn = turn
        self._address = ("", 0)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._draining = asyncio.Event()
        self._server: Any = None
        self._stopped: asyncio.Future[Any] | None = None

    async def open(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Accept connections; a call is one of ``tasks`` while it runs. Raises StartupError."""
        self._tasks = tasks
        self._server = grpc.aio.server(options=self._options)
        self._server.add_generic_rpc_handlers(tuple(self._handlers()))
        reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), self._server, pool())
        described = describe(self._sockets, "grpcs" if self._tls.certfile else "grpc")
        for sock in self._sockets:
            self._address = sock.getsockname()[:2]
            sock.close()
            self._bind(format_address(*self._address))
        await self._server.start()
        _logger.info("Listening on %s", described)

    def _bind(self, address: str) -> None:
        try:
            if self._tls.certfile:
                self._server.add_secure_port(address, _credentials(self._tls))
            else:
                self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise StartupError(f"Cannot listen on {address} for gRPC: {error}") from error

    def drain(self, grace: float) -> None:
        """Take no more calls; running ones may end within ``grace`` seconds."""
        self._draining.set()
        self._stopped = asyncio.ensure_future(self._server.stop(grace))

    async def close(self) -> None:
        """Close all connections, once the answers of ended calls are sent."""
        if self._stopped is not None:
            await asyncio.wait({self._stopped}, timeout=FLUSH_SECONDS)
        await self._server.stop(0)
        await self._on_closed()

    def _handlers(self) -> list[Any]:
        services: dict[str, dict[str, Any]] = {
            SERVICE: {"ModelStreamInfer": grpc.stream_stream_rpc_method_handler(self._stream_infer)},
            HEALTH: {"Watch": grpc.unary_stream_rpc_method_handler(self._watch)},
        }
        for path in [path for route in UNARY_ROUTES for path in route.paths]:
            service, method = path.strip("/").split("/")
            services[service][method] = self._unary(path)
        return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]

    def _unary(self, path: str) -> Any:
        """Handler of a unary method. It is registered with a stream of requests, which is the same on the wire, because
        the message is then read only when it is wanted: after admission."""

        async def answer(_: Any, context: Any) -> bytes:
            result = await self._exchange(path, context, lambda: _read(context))
            context.set_trailing_metadata(trailing_metadata(result))
            if result.status < 400:
                return result.body
            # not abort(), which fails where gRPC itself has ended the call: a message too large, a deadline
            context.set_code(status_code(result.status))
            context.set_details(status_text(result))
            return b""

        return grpc.stream_unary_rpc_method_handler(answer)

    async def _exchange(self, path: str, context: Any, read: Read) -> Answer:
        exchange = Exchange(path, context, read, seconds=context.time_remaining(), server=self._address)
        return await exchange.run(self._app, self._tasks)

    async def _stream_infer(self, _: Any, context: Any) -> None:
        """Answer one message after the other, each as a request of its own. An error is an answer, too."""
        if not self._may_stream(headers_of(context.invocation_metadata() or ())):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Missing or invalid API token")
        while (message := await self._next(context)) is not None:
            result = await self._exchange(STREAM_INFER, context, _ready_made(message))
            if result.status < 400:
                answer = await converted(self._turn, _streamed, result.body)
            else:
                answer = _refused(result, message)
            await context.write(answer)

    async def _next(self, context: Any) -> bytes | None:
        """The next message of a stream, None at its end. Aborts the stream when the server stops meanwhile."""
        reading = asyncio.ensure_future(_read(context))
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        finally:
            draining.cancel()
            reading.cancel()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Server is shutting down")
        return None

    async def _watch(self, request: bytes, context: Any) -> None:
        try:
            await watch_health(request, context, self._ready, self._draining)
        except RequestError as error:
            await context.abort(status_code(error.status), str(error))


async def _read(context: Any) -> bytes | None:
    message = await context.read()
    return None if message is grpc.aio.EOF else message


def _streamed(body: bytes) -> bytes:
    """The message of a stream with the ``ModelInferResponse`` that ``body`` is."""
    answer = inference().ModelStreamInferResponse()
    answer.infer_response.MergeFromString(body)
    return bytes(answer.SerializeToString())


def _refused(result: Answer, message: bytes) -> bytes:
    """The answer of a stream to a ``message`` that failed. Its id is that by which clients tell the answer."""
    answer = inference().ModelStreamInferResponse(error_message=result.error_text())
    answer.infer_response.id = request_id(message)
    return bytes(answer.SerializeToString())


def _ready_made(message: bytes) -> Read:
    async def read() -> bytes:
        return message

    return read


def _credentials(tls: TlsSettings) -> Any:
    """gRPC's own form of the certificate settings, which have been checked."""
    authorities = Path(tls.ca_certs).read_bytes() if tls.ca_certs else None
    pair = (Path(tls.keyfile or "").read_bytes(), Path(tls.certfile or "").read_bytes())
    return grpc.ssl_server_credentials([pair], authorities, require_client_auth=tls.cert_reqs == "required")
