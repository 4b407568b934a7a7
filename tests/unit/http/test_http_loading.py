"""Requests while the model loads: which of them wait, and how a wait ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.predictors.protocol import ModelCard
from http_serving import CSV, Mirror, Serving, card, post, read_all, serving
from http_stack import Stack, pending
from support.options import executor_options

CALLS = {
    # route and its status for a regression model that is loaded
    "POST /predict": 200, "POST /predictions": 200, "POST /invocations": 200, "POST /predictionsStream": 200,
    "POST /transform": 422, "POST /predictUnstructured": 422, "POST /predictionsUnstructured": 422,
    "POST /chat/completions": 404, "POST /v1/chat/completions": 404, "GET /models": 404, "GET /v1/models": 404,
    "GET /nim/x": 400, "POST /directAccess/x": 400,
}  # fmt: skip


class Loading(Mirror):
    """A predictor whose load ends when the test sets ``load_on``."""

    def __init__(self) -> None:
        super().__init__(card())
        self.load_on = threading.Event()
        self.failure: ModelLoadError | None = None

    def load(self) -> ModelCard:
        assert self.load_on.wait(60)
        if self.failure is not None:
            raise self.failure
        return self.card


class Clients:
    """Clients on separate threads."""

    def __init__(self, server: Serving, threads: ThreadPoolExecutor) -> None:
        self._server = server
        self._threads = threads

    def ask(self, call: str) -> Future[httpx.Response]:
        method, path = call.split()
        content = CSV if method == "POST" else None
        return self._threads.submit(self._server.client.request, method, path, content=content)

    def ask_all(self) -> dict[str, Future[httpx.Response]]:
        """Send a request to every route that needs the model; return when all hold a ticket."""
        asked = {call: self.ask(call) for call in CALLS}
        while pending(self._server) < len(CALLS):
            pass
        return asked


@contextlib.contextmanager
def loading(
    *, wrap: Any = None, error_server: bool = False, **executor: Any
) -> Iterator[tuple[Serving, Loading, Clients]]:
    predictor = Loading()
    with (
        ThreadPoolExecutor(20) as threads,
        serving(
            InlineExecutor(
                lambda: predictor, executor_options(**{"queue_depth": 50, "error_server": error_server, **executor})
            ),
            wrap=wrap,
            loaded=False,
        ) as server,
    ):
        try:
            yield server, predictor, Clients(server, threads)
        finally:
            predictor.load_on.set()
            predictor.go_on.set()


def test_calls_wait_and_are_then_answered_as_by_a_loaded_model() -> None:
    with loading() as (server, predictor, clients):
        asked = clients.ask_all()
        assert server.client.get("/stats").json()["executor_queue_depth"] == len(CALLS)
        predictor.load_on.set()
        assert {call: answer.result(60).status_code for call, answer in asked.items()} == CALLS
        assert pending(server) == 0
        stats = server.client.get("/stats").json()
        assert (stats["executor_queue_depth"], stats["backpressure_rejected"]) == (0, 0)


def test_probes_and_descriptions_answer_at_once_that_the_model_loads() -> None:
    with loading() as (server, _, _):
        for path in ("/", "/ping", "/health", "/readyz", "/startupz", "/info", "/capabilities"):
            answer = server.client.get(path)
            assert (path, answer.status_code) == (path, 503)
            assert answer.json() == {"message": "Model is still loading"}
            assert answer.headers["retry-after"] == "10"
        for path in ("/livez", "/stats"):
            assert server.client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("error_server", "status", "text", "retry_after"),
    [(False, 503, "Model failed to load", "10"), (True, 513, "ERROR: no such artifact", None)],
)
def test_a_failed_load_answers_waiting_calls(
    error_server: bool, status: int, text: str, retry_after: str | None
) -> None:
    with loading(error_server=error_server) as (server, predictor, clients):
        asked = clients.ask_all()
        predictor.failure = ModelLoadError("no such artifact")
        predictor.load_on.set()
        for answer in (future.result(60) for future in asked.values()):
            assert (answer.status_code, answer.json()) == (status, {"message": text})
            assert answer.headers.get("retry-after") == retry_after
        assert pending(server) == 0


def test_a_load_that_outlasts_the_queues_timeout() -> None:
    with loading(queue_timeout=0.1) as (server, _, clients):
        answer = clients.ask("POST /predict").result(60)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
        assert answer.json()["message"] == (
            "Model is still loading: the request has waited 0.1 s (DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT)"
        )
        assert pending(server) == 0


def test_a_load_that_outlasts_the_deadline() -> None:
    with loading(wrap=Stack(timeout=0.1)) as (server, _, clients):
        answer = clients.ask("POST /predict").result(60)
        assert (answer.status_code, answer.json()) == (
            504,
            {"message": "Request timeout after 0.1s", "request_id": "rid"},
        )
        assert pending(server) == 0


def test_a_client_that_disconnects_releases_its_ticket() -> None:
    stack = Stack(with_disconnect=True)
    with loading(wrap=stack) as (server, predictor, _):
        with server.send(post("/predict", CSV)):
            while stack.leave is None:
                pass
        server.loop.call_soon_threadsafe(stack.leave)
        stack.wait_ended()
        assert (pending(server), stack.started, stack.errors) == (0, [], [])
        predictor.load_on.set()


def test_the_body_is_read_only_after_the_load() -> None:
    with loading() as (server, predictor, _):
        expecting = post("/predict", b"", "Expect: 100-continue", length=len(CSV))
        with server.send(expecting) as connection:
            while pending(server) < 1:
                pass
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)
            connection.settimeout(60)
            predictor.load_on.set()
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n")
            connection.sendall(CSV)
            assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_a_shutdown_answers_waiting_calls() -> None:
    with loading() as (server, predictor, clients):
        asked = clients.ask_all()
        stop = server.loop.call_soon_threadsafe
        stop(lambda: server.loop.create_task(server.executor.shutdown(20)))
        for answer in (future.result(60) for future in asked.values()):
            assert (answer.status_code, answer.json()) == (503, {"message": "Server is shutting down"})
            assert answer.headers["retry-after"] == "10"
        predictor.load_on.set()
