"""Helpers for tests of ``drum_litestar.http``: the application under a real uvicorn on loopback, over predictors whose
answers describe the call."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec
import uvicorn

from drum_litestar.errors import ModelFailedError, ModelLoadError
from drum_litestar.execution.executor import Executor, WorkerStatus
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.http.app import build_app
from drum_litestar.http.app_options import AppOptions
from drum_litestar.predictors.protocol import (
    ModelCall,
    ModelCard,
    Payload,
    Reply,
    StreamHead,
    StreamReply,
    TargetType,
)
from routed import admitted
from support.options import executor_options

CSV = b"a,b\n1,2\n"


class Mirror:
    """A predictor that answers with a description of the call. The query or the body can ask for more."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        self.entered = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.chunks_ended = threading.Event()
        self.paths: list[str] = []
        self.script: dict[bytes, Any] = {}
        """Body (or X) to the reply to give, or a callable of the call."""

    def load(self) -> ModelCard:
        return self.card

    def handle(self, call: ModelCall) -> Reply | StreamReply:
        payload = call.x or call.body
        if payload is not None and payload.path is not None:
            self.paths.append(payload.path)
        if payload is not None and payload.size < 200 and (answer := self.script.get(payload.read())) is not None:
            scripted: Reply | StreamReply = answer(call) if callable(answer) else answer
            return scripted
        return Reply(body=msgspec.json.encode(describe(call)))

    def wait(self, _: ModelCall) -> Reply:
        """Compute until ``go_on`` is set."""
        self.entered.release()
        assert self.go_on.wait(60)
        return Reply(body=b"waited")

    def stream(self, *chunks: bytes | Exception, wait: bool = False, content_type: str | None = None) -> Any:
        """A scripted stream; ``wait`` holds it after its first chunk until ``go_on`` is set."""

        def produce() -> Iterator[bytes]:
            try:
                for index, chunk in enumerate(chunks):
                    if isinstance(chunk, Exception):
                        raise chunk
                    if wait and index == 1:
                        self.entered.release()
                        assert self.go_on.wait(60)
                    yield chunk
            finally:
                self.chunks_ended.set()

        head = StreamHead() if content_type is None else StreamHead(content_type=content_type)
        return lambda _: StreamReply(head, produce())

    def close(self) -> None:
        self.go_on.set()


def describe(call: ModelCall) -> dict[str, Any]:
    """Describe a payload as JSON values."""

    def payload(value: Payload | None) -> Any:
        if value is None:
            return None
        data = value.read()
        assert len(data) == value.size
        return {
            "data": data.decode("latin-1") if len(data) < 1000 else None,
            "size": len(data),
            "spooled": value.path is not None,
            "filename": value.filename,
            "mimetype": value.mimetype,
            "charset": value.charset,
        }

    return {
        "kind": call.kind,
        "request_id": call.request_id,
        "body": payload(call.body),
        "x": payload(call.x),
        "y": payload(call.y),
        "colnames": payload(call.colnames),
        "headers": call.headers,
        "query": call.query,
        "trace": call.trace,
    }


class Broken:
    """A predictor whose load fails."""

    def load(self) -> ModelCard:
        raise ModelLoadError("no such artifact", detail="Traceback: here")

    def handle(self, call: ModelCall) -> Reply:
        raise AssertionError("never loaded")

    def close(self) -> None:
        pass


def card(target: TargetType = TargetType.REGRESSION, **fields: Any) -> ModelCard:
    return ModelCard(target_type=target, **fields)


def options(**fields: Any) -> AppOptions:
    return AppOptions(**{"drum_version": "1.18.1", "server_version": "0", "graceful_timeout": 5.0, **fields})


@dataclass
class Serving:
    """A running server."""

    port: int
    app: Any
    executor: Any
    loop: asyncio.AbstractEventLoop
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, data: bytes) -> socket.socket:
        """A new connection on which ``data`` has been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall(data)
        return connection

    def exchange(self, data: bytes) -> bytes:
        """Send ``data`` on a new connection and read until its end (so it must ask for ``Connection: close``)."""
        with self.send(data) as connection:
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    received = b""
    while mark not in received:
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk
    return received


def post(path: str, body: bytes, *headers: str, length: int | None = None, close: bool = True) -> bytes:
    """Build a raw POST; ``length`` overrides its Content-Length."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body) if length is None else length}"]
    lines += ["Connection: close"] * close
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


def form(*parts: tuple[str, bytes], boundary: str = "b1", end: bool = True) -> bytes:
    """Build a multipart body of ``(Content-Disposition parameters, content)``."""
    body = b""
    for disposition, content in parts:
        body += f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode() if end else body


FORM = "Content-Type: multipart/form-data; boundary=b1"
X = 'name="X"; filename="x.csv"'


class _Server(uvicorn.Server):
    """uvicorn server with an event that is set when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.up.set()


@contextlib.contextmanager
def serving(
    executor: Executor, settings: AppOptions | None = None, *, wrap: Any = None, loaded: bool = True
) -> Iterator[Serving]:
    """Serve the application; ``wrap`` adds middleware. ``loaded`` waits until the model's load has ended."""
    settings = settings or options()
    app = build_app(executor, settings)
    served = admitted(app, executor, settings)
    config = uvicorn.Config(
        wrap(served) if wrap else served, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=5
    )
    server = _Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert server.up.wait(60)
        assert server.loop is not None
        if loaded:
            asyncio.run_coroutine_threadsafe(executor.wait_started(), server.loop).result(60)
        port = listener.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Serving(port, app, executor, server.loop, client)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@contextlib.contextmanager
def mirror(
    description: ModelCard | None = None, settings: AppOptions | None = None, *, wrap: Any = None, **executor: Any
) -> Iterator[tuple[Serving, Mirror]]:
    """Serve a :class:`Mirror`."""
    predictor = Mirror(description or card())
    with serving(InlineExecutor(lambda: predictor, executor_options(**executor)), settings, wrap=wrap) as server:
        try:
            yield server, predictor
        finally:
            predictor.go_on.set()


class StateExecutor:
    """An executor without a model, in a state that the test sets."""

    def __init__(
        self, state: Any = "ready", description: ModelCard | None = None, *, error_server: bool = False
    ) -> None:
        self.error_server = error_server
        self.state = state
        self.card = description
        self.folder_error = ""
        self.failure: ModelLoadError | None = ModelLoadError("no such artifact") if state == "failed" else None
        self.counters = {
            "executor_workers": 0,
            "executor_slots": 2,
            "executor_stuck": 0,
            "executor_queue_depth": 0,
            "executor_max_queue": 10,
        }

    async def start(self) -> None: ...

    async def wait_started(self) -> None: ...

    def check_failure(self) -> None:
        if self.error_server and self.failure is not None:
            raise ModelFailedError(str(self.failure))

    def admit(self) -> Any:
        self.check_failure()
        raise NotImplementedError

    async def wait_loaded(self, ticket: Any, deadline: float | None = None) -> None:
        raise NotImplementedError

    async def submit(self, call: ModelCall, *, ticket: Any, deadline: float | None = None) -> Any:
        raise NotImplementedError

    async def shutdown(self, grace: float) -> None: ...

    def stats(self) -> dict[str, Any]:
        return self.counters

    def workers(self) -> list[WorkerStatus]:
        return []

    def pids(self) -> list[int]:
        return []
