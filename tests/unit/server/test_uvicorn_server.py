"""``run_server`` in a separate process, because its signals and exit code are the process's."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from raw_serving import RawClient

PROGRAM = """
import asyncio, logging, sys
from raw_serving import echo, read_body, reply
from drum_litestar.server.http.connection import make_protocol
from drum_litestar.server.uvicorn_server import run_server
from drum_litestar.server.sockets import bind_sockets

logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
state = {"ready": True}

def say(*words):
    print(*words, flush=True)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            say(kind)
            if FAIL_START:
                await send({"type": "lifespan.startup.failed", "message": "no model"})
                return
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    elif scope["path"] == "/slow":
        say("in flight")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            say("cancelled")
            raise
    elif scope["path"] == "/outlives":
        say("in flight")
        await asyncio.to_thread(sys.stdin.readline)
        await reply(send, b"done")
    elif scope["path"] == "/fail":
        state["handle"].stop(1)
        await reply(send, b"failing")
    elif scope["path"] == "/big":
        await reply(send, b"x" * 5_000_000)
    else:
        await reply(send, b"ready" if state["ready"] else b"draining")

async def started(handle):
    state["handle"] = handle
    say("started", sockets[0].getsockname()[1])

async def stop(left):
    say("stop", "now" if left == 0 else "graceful")
    if STUCK and left:
        await asyncio.sleep(60)

async def reload():
    say("reload")
    raise RuntimeError("bad model")

FAIL_START, STUCK, GRACE, LAME_DUCK = ARGUMENTS
sockets = bind_sockets("127.0.0.1", 0)
code = run_server(
    app, sockets=sockets, uvicorn_kwargs={"lifespan": "on", "loop": LOOP, "timeout_keep_alive": 60},
    protocol=make_protocol(), graceful_timeout=GRACE, lame_duck=lambda: LAME_DUCK, on_started=started,
    on_drain=lambda: (state.update(ready=False), say("drain")), on_stop=stop, on_reload=reload,
)
say("returned", code)
sys.exit(code)
"""


class Process:
    def __init__(self, program: str) -> None:
        tests = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", f"import sys; sys.path.insert(0, {str(tests)!r})\n{program}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = 0

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def expect(self, *lines: str) -> None:
        assert [self.line() for _ in lines] == list(lines)

    def logged(self, text: str) -> None:
        """Return when ``text`` has been logged."""
        assert self.process.stderr is not None
        assert any(text in line for line in self.process.stderr)

    def go_on(self) -> None:
        """Let the request to ``/outlives`` end."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def connect(self) -> RawClient:
        return RawClient(self.port)

    def ask(self, path: str) -> RawClient:
        client = self.connect()
        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return client

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextlib.contextmanager
def server(
    *, fail_start: bool = False, stuck: bool = False, grace: float = 10, lame_duck: float = 0, loop: str = "uvloop"
) -> Iterator[Process]:
    program = PROGRAM.replace("ARGUMENTS", repr((fail_start, stuck, grace, lame_duck))).replace("LOOP", repr(loop))
    process = Process(program)
    try:
        process.expect("lifespan.startup")
        if not fail_start:
            process.port = int(process.line().removeprefix("started "))
        yield process
    finally:
        if process.process.poll() is None:
            process.process.kill()
        process.process.communicate()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_lets_running_requests_end_and_exits_with_0(number: signal.Signals, loop: str) -> None:
    with server(loop=loop) as process, process.ask("/") as idle, process.connect() as silent:
        assert idle.response().body == b"ready"
        with process.ask("/outlives") as running:
            process.expect("in flight")
            process.signal(number)
            process.expect("drain")
            assert idle.closed()
            assert silent.closed()
            with pytest.raises(OSError):
                process.connect()
            process.signal(signal.SIGHUP)  # no reload any more
            process.go_on()
            answer = running.response()
            assert (answer.body, answer.headers["connection"]) == (b"done", "close")
            assert running.closed()
        process.expect("stop graceful", "lifespan.shutdown", "returned 0")
        code, out, err = process.end()
    assert (code, out) == (0, "")
    assert f"Listening on http://127.0.0.1:{process.port}\n" in err
    assert f"stopping ({number.name}): 1 request under way, up to 10 s; " in err


def test_the_last_bytes_of_a_large_answer_are_sent() -> None:
    with server() as process:
        with process.ask("/big") as client:
            client.until(b"\r\n\r\n")
            process.signal(signal.SIGTERM)
            process.expect("drain")
            assert client.exactly(5_000_000) == b"x" * 5_000_000
        assert process.end()[0] == 0


def test_requests_that_outlast_the_grace_period_are_cancelled() -> None:
    with server(grace=0.3) as process, process.ask("/slow") as client:
        process.expect("in flight")
        process.signal(signal.SIGTERM)
        process.expect("drain", "cancelled", "stop now", "lifespan.shutdown", "returned 0")
        assert client.response().status == 500
        assert process.end()[0] == 0


def test_a_second_signal_stops_at_once() -> None:
    with server(grace=3600) as process, process.ask("/slow"):
        process.expect("in flight")
        process.signal(signal.SIGTERM)
        process.expect("drain")
        process.signal(signal.SIGTERM)
        process.expect("cancelled", "stop now", "returned 130")
        assert process.end()[0] == 130


def test_a_second_signal_interrupts_the_models_shutdown() -> None:
    with server(stuck=True) as process:
        process.signal(signal.SIGINT)
        process.expect("drain", "stop graceful")
        process.signal(signal.SIGINT)
        process.expect("stop now", "returned 130")
        assert process.end()[0] == 130


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_lame_duck_answers_until_the_next_signal(loop: str) -> None:
    """Idle and new connections have one more answer, which says that it is the last."""
    with (
        server(lame_duck=600, loop=loop) as process,
        process.ask("/") as idle,
        process.ask("/outlives") as running,
        process.connect() as silent,
    ):
        assert "connection" not in idle.response().headers
        process.expect("in flight")
        process.signal(signal.SIGTERM)
        process.logged("not ready any more (SIGTERM): requests are answered for 600 s")
        idle.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with process.ask("/") as new:
            for client in (idle, new):
                answer = client.response()
                assert (answer.status, answer.headers["connection"]) == (200, "close")
                assert client.closed()
        process.signal(signal.SIGTERM)
        process.expect("drain")
        assert silent.closed()
        with pytest.raises(OSError):
            process.connect()
        process.go_on()
        assert running.response().headers["connection"] == "close"
        process.expect("stop graceful", "lifespan.shutdown", "returned 0")
        assert process.end()[0] == 0


def test_a_lame_duck_ends_by_itself() -> None:
    with server(lame_duck=0.2) as process, process.connect() as silent:
        process.signal(signal.SIGTERM)
        process.logged("not ready any more")
        process.expect("drain", "stop graceful", "lifespan.shutdown", "returned 0")
        assert silent.closed()
        assert process.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_signals_of_people_have_no_lame_duck(number: signal.Signals) -> None:
    with server(lame_duck=600) as process:
        process.signal(number)
        process.expect("drain", "stop graceful", "lifespan.shutdown", "returned 0")
        assert process.end()[0] == 0


def test_a_third_signal_stops_at_once() -> None:
    with server(lame_duck=600, grace=3600) as process, process.ask("/slow"):
        process.expect("in flight")
        process.signal(signal.SIGTERM)
        process.logged("not ready any more")
        process.signal(signal.SIGTERM)
        process.expect("drain")
        process.signal(signal.SIGTERM)
        process.expect("cancelled", "stop now", "returned 130")
        assert process.end()[0] == 130


def test_a_stop_from_inside_has_its_exit_code() -> None:
    with server() as process, process.ask("/fail") as client:
        assert client.response().body == b"failing"
        process.expect("drain", "stop graceful", "lifespan.shutdown", "returned 1")
        assert process.end()[0] == 1


def test_sighup_reloads_and_a_failed_reload_changes_nothing() -> None:
    with server() as process:
        for _ in range(2):
            process.signal(signal.SIGHUP)
            process.expect("reload")
        with process.ask("/") as client:
            assert client.response().body == b"ready"
        process.signal(signal.SIGTERM)
        code, _, err = process.end()
    assert code == 0
    assert "Reloading the model failed; the old one goes on" in err


def test_a_lifespan_that_fails_is_a_startup_error() -> None:
    with server(fail_start=True) as process:
        code, out, err = process.end()
    assert (code, out) == (1, "")
    assert "StartupError: The application failed to start" in err
