"""The load generators against a small real server."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from typing import ClassVar

import pytest

uvloop = pytest.importorskip("uvloop")

from benchmarks.load.chat import chat_streams  # noqa: E402
from benchmarks.load.client import Client, LostError, get, posts  # noqa: E402
from benchmarks.load.closed_loop import available, closed_loop  # noqa: E402
from benchmarks.load.open_loop import open_loop  # noqa: E402
from benchmarks.load.probes import PER_SECOND, probe_latency  # noqa: E402
from benchmarks.load.storm import storm  # noqa: E402
from benchmarks.workload.prediction_request import PredictionRequest  # noqa: E402

STALLED, RELEASED = 10, 70
"""The request to ``/stall`` at which all of them start to wait, and the one with whose arrival they go on."""
ROWS = PredictionRequest("/predict/", (b"a,b\n1,2\n",), "text/csv")


class Handler(BaseHTTPRequestHandler):
    """Answers at once, but requests to ``/stall`` wait from the STALLED-th until the RELEASED-th of them is there."""

    protocol_version = "HTTP/1.1"
    gate = threading.Lock()
    released = threading.Event()
    seen = 0
    unused = threading.Event()
    """What calls that hang wait for, until the end of the test."""
    bodies: ClassVar[list[bytes]] = []
    """What ``/record`` got."""

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/livez" else 404, b"ok")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/chat":
            self.stream()
        elif self.path == "/chat-that-stops":
            self.stream(ends=False)
        elif self.path == "/storm" and body == b"hang":
            self.unused.wait()
            self.close_connection = True
        elif self.path == "/storm":
            self.answer(503 if body == b"refused" else 200, body)
        elif self.path == "/ended" and body == b"hang":
            self.answer(504, body)
        elif self.path == "/ended":
            self.answer(200, body)
        elif self.path == "/record":
            self.bodies.append(body)
            self.answer(200, body)
        elif self.path == "/broken":
            self.close_connection = True
        elif self.path == "/until-close":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end")
        elif self.path == "/cut":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nno end")
        elif self.path == "/closing":
            self.close_connection = True
            self.answer(200, body, "Connection: close")
        elif self.path == "/stall":
            with self.gate:
                type(self).seen += 1
                number = self.seen
            if number == RELEASED:
                self.released.set()
            elif number >= STALLED:
                self.released.wait()
            self.answer(200, body)
        else:
            self.answer(200 if self.path == "/predict/" else 503, body)

    def answer(self, status: int, body: bytes, *headers: str) -> None:
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + body)

    def stream(self, *, ends: bool = True) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (b"data: {}\n\n", b"data: {}\n\n", b"data: {}\n\n", b"data: [DONE]\n\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            if not ends:
                self.unused.wait()
                return
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture
def port() -> Iterator[int]:
    Handler.seen = 0
    Handler.released.clear()
    Handler.unused.clear()
    Handler.bodies.clear()
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield int(server.server_address[1])
        Handler.unused.set()
        server.shutdown()
        thread.join()


def test_a_stall_is_in_the_latency_of_all_requests_that_were_due_meanwhile(port: int) -> None:
    """However slow the machine is: request k of 120 is due k x 5 ms after the first, and those from the tenth on are
    answered only after the seventieth has come, so at least ten requests wait for 250 ms or longer. A client that
    counts from the moment of sending, after waiting for the answer before, would see one of them."""
    figures = open_loop(port, PredictionRequest("/stall", (b"x",), "text/csv"), seconds=0.6, rate=200)
    assert (figures["requests"], figures["errors"]) == (120, 0)
    assert figures["p95"] > 250, "ten of 120 requests were due early in the stall"


def test_an_open_loop_sends_the_bodies_in_turn(port: int) -> None:
    open_loop(port, PredictionRequest("/record", (b"1", b"2", b"3"), "text/csv"), seconds=0.07, rate=100)
    assert Counter(Handler.bodies) == {b"1": 3, b"2": 2, b"3": 2}


@pytest.mark.skipif(available() is not None, reason="needs wrk")
def test_a_closed_loop_sends_the_bodies_in_turn(port: int) -> None:
    bodies = (b'a,b\n"1,\n""2""",\n', b"a,b\n\x00,4\n", b"a,b\n5,6\n")
    figures = closed_loop(port, PredictionRequest("/record", bodies, "text/csv"), connections=1, seconds=1)
    assert figures["errors"] == 0
    assert figures["requests"] > len(bodies)
    start = bodies.index(Handler.bodies[0])  # wrk asks its script for a request before it sends one
    assert Handler.bodies == list(islice(cycle(bodies), start, start + len(Handler.bodies)))


def test_other_answers_and_lost_connections_are_errors(port: int) -> None:
    for path in ("/refused", "/broken", "/cut"):
        figures = open_loop(port, PredictionRequest(path, (b"x",), "text/csv"), seconds=0.1, rate=100)
        assert (figures["requests"], figures["errors"]) == (10, 10)
        assert "p50" not in figures


def test_a_refused_connection_is_an_error() -> None:
    figures = open_loop(1, ROWS, seconds=0.05, rate=100)
    assert figures["errors"] == figures["requests"] == 5


@pytest.mark.parametrize("path", ["/closing", "/until-close"])
def test_a_server_that_closes_each_connection_is_asked_on_new_ones(port: int, path: str) -> None:
    figures = open_loop(port, PredictionRequest(path, (b"x",), "text/csv"), seconds=0.1, rate=100)
    assert (figures["requests"], figures["errors"]) == (10, 0)


def test_chat_streams_count_their_tokens(port: int) -> None:
    figures = chat_streams(port, PredictionRequest("/chat", (b"{}",), "application/json"), 4)
    assert (figures["requests"], figures["errors"]) == (4, 0)
    assert figures["tokens"] == pytest.approx(3 * figures["rate"])
    assert chat_streams(port, PredictionRequest("/refused", (b"{}",), "application/json"), 4)["errors"] == 4


def test_streams_that_do_not_end_are_abandoned_and_are_no_errors(port: int) -> None:
    request = PredictionRequest("/chat-that-stops", (b"{}",), "application/json")
    figures = chat_streams(port, request, 4, limit=2.0)
    assert (figures["requests"], figures["unfinished"], figures["errors"]) == (4, 4, 0)
    assert 0 < figures["tokens"] <= 4 / 2.0, "one of each stream"
    assert "rate" not in figures, "none has ended"


def test_a_stream_without_a_token_counts_as_if_it_had_come_at_the_end(port: int) -> None:
    figures = chat_streams(port, PredictionRequest("/storm", (b"hang",), "application/json"), 2, limit=0.2)
    assert (figures["unfinished"], figures["tokens"]) == (2, 0)
    assert figures["p50"] >= 190


def test_streams_that_end_in_time_are_not_abandoned(port: int) -> None:
    figures = chat_streams(port, PredictionRequest("/chat", (b"{}",), "application/json"), 4, limit=60.0)
    assert (figures["unfinished"], figures["errors"]) == (0, 0)
    assert figures["tokens"] == pytest.approx(3 * figures["rate"])


def test_a_storm_counts_the_good_answers_and_gives_up_what_hangs(port: int) -> None:
    request = PredictionRequest("/storm", (b"good", b"refused", b"good", b"hang"), "text/csv")
    figures = storm(port, request, connections=2, seconds=1.0, timeout=0.05)
    assert figures["hung"] > 0
    assert figures["ended"] == 0
    assert figures["goodput"] > 0
    assert figures["errors"] >= figures["requests"] / 3 - 2, "the refused ones, and what else took too long"


def test_a_storm_knows_what_the_server_ended(port: int) -> None:
    request = PredictionRequest("/ended", (b"good", b"hang"), "text/csv")
    figures = storm(port, request, connections=1, seconds=0.5)
    assert figures["ended"] == figures["hung"] > 0
    assert figures["errors"] == 0
    assert {"p50", "p99"} <= set(figures)


def test_a_storm_over_a_server_that_is_gone_has_errors_only() -> None:
    figures = storm(1, PredictionRequest("/storm", (b"good", b"hang"), "text/csv"), connections=2, seconds=0.1)
    assert figures["errors"] == figures["requests"] > 0
    assert figures["goodput"] == 0
    assert "p99" not in figures


def test_probes_are_asked_at_their_rate(port: int) -> None:
    figures = probe_latency(port, "/livez", ROWS, seconds=0.2)
    assert (figures["requests"], figures["errors"]) == (PER_SECOND * 0.2, 0)
    assert probe_latency(port, "/nothing", ROWS, seconds=0.1)["errors"] == PER_SECOND * 0.1


def test_an_idle_connection_is_used_again_and_its_silent_end_survived(port: int) -> None:
    async def ask() -> None:
        client = Client(port)
        for _ in range(2):
            assert await client.send(get("/livez")) == 200
        (idle,) = client._idle
        asyncio.get_running_loop().call_soon(idle.close)  # between the look at it and the request
        assert await client.send(next(posts(ROWS))) == 200
        with pytest.raises(LostError):
            await client.send(next(posts(PredictionRequest("/broken", (b"",), "text/csv"))))
        client.close()

    uvloop.run(ask())
