"""What a starting and a stopping server tells: a person at a terminal, a log, a JSON log."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conftest import Start
from support.servers.backends import console_script
from support.servers.faults import Faults, eventually, order
from support.servers.process import ServerProcess, clean_environment, free_port
from support.servers.terminal import COLOUR, CTRL_C, ERASE, OnTerminal, on_terminal
from support.wire import csv, get, send
from support.zoo import Zoo

OnScreen = Callable[..., OnTerminal]

READY = re.compile(
    r"ready on http://127\.0\.0\.1:\d+: regression model, native predictor \(Python model\), 1 worker, "
    r"loaded in \d+\.\d s, \d+ MB"
)


@pytest.fixture
def on_screen(zoo: Zoo, tmp_path: Path) -> Iterator[OnScreen]:
    """Start a server of a folder of the zoo on a terminal: ``on_screen("binary", "--max-workers", "2", env={...})``."""
    with contextlib.ExitStack() as stack:

        def start(name: str, *arguments: str, env: Mapping[str, str] | None = None, columns: int = 200) -> OnTerminal:
            folder, path = zoo[name]
            command = [console_script(), "server", "--address", "127.0.0.1:0", *folder.command_line(path), *arguments]
            settings = {"FAULTS_DIR": str(tmp_path), **folder.env, **(env or {})}
            return stack.enter_context(on_terminal(command, cwd=tmp_path, env=settings, columns=columns))

        yield start


def rows(screen: OnTerminal) -> dict[str, str]:
    """The rows of the block, by their names."""
    found = (re.fullmatch(r"  ([A-Z][A-Za-z ]+?)  +(\S.*)", line) for line in screen.lines())
    return {match[1]: match[2] for match in found if match is not None}


def command_line(screen: OnTerminal) -> str:
    """The command that the block offers."""
    lines = screen.lines()
    return lines[next(index for index, line in enumerate(lines) if line.startswith("  Try it")) + 1].strip()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs the curl command")
def test_a_start_on_a_terminal(on_screen: OnScreen, zoo: Zoo, tmp_path: Path) -> None:
    """The load with its time, then one block; its command works as it is; Ctrl+C ends the server."""
    token = "t0ken-of-the-operator"
    screen = on_screen("binary", env={"DRUM_API_TOKEN": token, "URL_PREFIX": "/a/b/"})
    screen.wait_for("/predict/\r\n")
    path = zoo["binary"][1]
    loads = re.findall(rf"Loading {re.escape(str(path))} \(binary\) \.\.\. (\d+\.\d) s", screen.raw())
    assert loads == sorted(loads, key=float)
    assert len(set(loads)) > 1
    assert not any("Loading" in line for line in screen.lines()), "the line is rewritten, then erased"
    assert screen.raw().index("Loading") < screen.raw().index("Ready: ")
    found = rows(screen)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/a/b", found["URL"])
    assert not found["URL"].startswith("http://127.0.0.1:0")
    assert (found["Target type"], found["Labels"]) == ("binary", "yes (positive), no")
    assert (found["Predictor"], found["Workers"]) == ("native predictor (Python model)", "1 worker")
    assert re.fullmatch(r"\d+\.\d s", found["Load time"])
    assert re.fullmatch(r"\d+ MB", found["Memory"])
    shell = clean_environment({"DRUM_API_TOKEN": token})
    done = subprocess.run(["sh", "-c", command_line(screen)], env=shell, capture_output=True, text=True, check=True)
    (prediction,) = json.loads(done.stdout)["predictions"]
    assert sorted(prediction) == ["no", "yes"]
    screen.press(CTRL_C)
    assert screen.wait_exit() == 0
    assert [line for line in screen.lines() if "stopping" in line] == [
        "stopping (SIGINT): no request under way; Ctrl+C again to force"
    ]
    assert token not in screen.raw()
    assert COLOUR.search(screen.raw())
    assert "uvicorn" not in screen.raw()
    assert screen.raw().count("Ready: ") == 1


@pytest.mark.parametrize(("env", "rewrites"), [({"NO_COLOR": "1"}, True), ({"TERM": "dumb"}, False)])
def test_no_colours_where_they_are_not_wanted(on_screen: OnScreen, env: Mapping[str, str], rewrites: bool) -> None:
    screen = on_screen("unstructured", env=env)
    screen.wait_for("/predictUnstructured/\r\n")
    screen.press(CTRL_C)
    assert screen.wait_exit() == 0
    assert COLOUR.search(screen.raw()) is None
    assert (ERASE in screen.raw()) is rewrites
    assert rewrites or "\x1b" not in screen.raw()


def test_a_status_line_fits_into_one_row(on_screen: OnScreen) -> None:
    screen = on_screen("unstructured", columns=30)
    screen.wait_for("/predictUnstructured/\r\n")
    states = [part.partition("\r\n")[0] for part in screen.raw().split(ERASE) if part.startswith("Loading")]
    assert states
    assert max(map(len, states)) < 30


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_ctrl_c_twice(on_screen: OnScreen, tmp_path: Path, workers: str) -> None:
    """The first says what is waited for, the second is one line; no traceback, not even from the worker."""
    port = free_port()
    screen = on_screen("faults", "--address", f"127.0.0.1:{port}", "--max-workers", workers)
    screen.wait_for("Try it")
    if workers == "2":
        screen.wait_for("all 2 workers are ready, ")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(send, port, order("sleep", 600))
        eventually(lambda: (tmp_path / "begins").exists(), "the hook has begun")
        screen.press(CTRL_C)
        screen.wait_for("to force")
        assert screen.process.poll() is None
        screen.press(CTRL_C)
        assert screen.wait_exit() == 130
        assert running.exception() is not None or running.result().status == 503
    lines = screen.lines()
    first = lines.index("stopping (SIGINT): 1 request under way, up to 299 s; Ctrl+C again to force")
    later = [line for line in lines[first + 1 :] if line and '"POST /predict/' not in line]
    assert later == ["stopping at once (SIGINT again); 1 request cut off"]


def test_ctrl_c_before_anything_listens(on_screen: OnScreen, tmp_path: Path) -> None:
    """One line instead of Python's traceback."""
    (tmp_path / "uvicorn.py").write_text("import sys, time\nsys.stderr.write('importing\\n')\ntime.sleep(600)\n")
    screen = on_screen("unstructured", env={"PYTHONPATH": str(tmp_path)})
    screen.wait_for("importing")
    screen.press(CTRL_C)
    assert screen.wait_exit() == 130
    assert [line for line in screen.lines() if line][-1] == "drum-litestar: interrupted"
    assert "Traceback" not in screen.raw()


def test_a_failed_load_claims_nothing(on_screen: OnScreen, tmp_path: Path) -> None:
    (tmp_path / "on_load").write_text("raise")
    screen = on_screen("faults")
    assert screen.wait_exit() == 1
    assert "Ready" not in screen.raw()
    assert [line for line in screen.lines() if line][-1].startswith("ERROR: An error occurred when loading")


def test_an_error_server_is_not_ready(on_screen: OnScreen, tmp_path: Path) -> None:
    (tmp_path / "on_load").write_text("raise")
    screen = on_screen("faults", "--with-error-server")
    screen.wait_for("every route answers 513 now")
    screen.press(CTRL_C)
    assert screen.wait_exit() == 0
    assert "Ready" not in screen.raw()


def test_a_stop_during_the_load_claims_nothing(on_screen: OnScreen, tmp_path: Path) -> None:
    (tmp_path / "on_load").write_text("wait")
    screen = on_screen("faults")
    eventually(lambda: (tmp_path / "loads").exists(), "the model loads")
    screen.press(CTRL_C)
    assert screen.wait_exit() == 0
    shown = [line for line in screen.lines() if line]
    assert shown == ["stopping (SIGINT): no request under way; Ctrl+C again to force"]


@pytest.mark.parametrize("level", ["info", pytest.param("warning", marks=pytest.mark.slow), "critical"])
def test_one_ready_line_in_a_log(serve: Start, level: str) -> None:
    server = serve("regression", arguments=["--logging-level", level])
    server.wait_output("ready on ")
    server.process.send_signal(signal.SIGTERM)
    assert server.wait_exit() == 0
    lines = server.output().splitlines()
    assert [bool(READY.search(line)) for line in lines].count(True) == 1
    assert "\x1b" not in server.output()
    assert "Loading" not in server.output()
    assert "uvicorn.error" not in server.output()
    if level != "info":
        logged = [line for line in lines if '"GET /readyz' not in line]
        assert len(logged) == 2, logged
        assert " INFO drum_litestar.lifecycle:  ready on " in logged[0]
        assert "stopping (SIGTERM): no request under way; another SIGTERM to force" in logged[1]


def records(server: ServerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.output().splitlines()]


def test_json_has_what_is_ready_and_each_request_as_fields(serve: Start) -> None:
    server = serve(
        "multiclass",
        arguments=["--logging-level", "error"],
        env={"DRUM_JSON_LOGGING": "true", "DRUM_ACCESS_LOG_PROBES": "false", "URL_PREFIX": "/m"},
    )
    server.wait_output('"ready":true')
    assert server.send(get("/m/stats/?a=b")).status == 200
    assert server.send(get("/m/metrics")).status in (200, 501)
    assert server.send(csv("x\n1\n", "/nowhere")).status == 404
    server.wait_output("/nowhere")
    ready, *rest = records(server)
    assert (ready["ready"], ready["url"]) == (True, f"http://127.0.0.1:{server.port}/m")
    assert (ready["target_type"], ready["labels"]) == ("multiclass", ["c", "a", "b"])
    assert (ready["predictor"], ready["predictor_reason"], ready["workers"]) == ("native", "Python model", 1)
    assert ready["load_seconds"] > 0
    assert ready["memory_bytes"] > 10_000_000
    shown = [(each["method"], each["path"], each["client"], each["status"]) for each in rest]
    assert shown == [("GET", "/m/stats/", "127.0.0.1", 200), ("POST", "/nowhere", "127.0.0.1", 404)]
    assert all(each["duration"] > 0 and each["logger"] == "drum_litestar.access" for each in rest)


def test_a_reload_is_one_line(faults: Faults) -> None:
    server = faults.start(arguments=["--logging-level", "warning"])
    server.server.wait_output("ready on ")
    server.server.process.send_signal(signal.SIGHUP)
    server.server.wait_output("The model is reloaded, in ")
    logged = [line for line in server.server.output().splitlines() if '"GET ' not in line]
    assert len(logged) == 2, logged
    assert re.search(r"INFO drum_litestar\.lifecycle:  The model is reloaded, in \d+\.\d s", logged[1])


@pytest.mark.parametrize("threads", [pytest.param("1", marks=pytest.mark.slow), "3"])
def test_a_forced_stop_logs_no_traceback(faults: Faults, threads: str) -> None:
    """Whichever thread of the worker runs the hook."""
    server = faults.start(env={"DRUM_FASTAPI_EXECUTOR_WORKERS": threads})
    future = server.begin_one("sleep", 600)
    for _ in range(2):
        server.server.process.send_signal(signal.SIGTERM)
        server.server.wait_output("stopping")
    assert server.server.wait_exit() == 130
    assert future.exception() is not None or future.result().status == 503
    assert "Traceback" not in server.server.output()
    assert "stopping at once (SIGTERM again); 1 request cut off" in server.server.output()


def test_an_async_hook_logs_no_traceback_when_it_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "custom.py").write_text(ASYNC_HOOK)
    port = free_port()
    arguments: Sequence[str] = ("-cd", str(tmp_path), "--target-type", "unstructured")
    command = [console_script(), "server", "--address", f"127.0.0.1:{port}", *arguments]
    server = ServerProcess(command, port=port, log=tmp_path / "log", env={"NOTES": str(tmp_path / "begun")})
    try:
        server.wait_ready()
        with ThreadPoolExecutor(1) as threads:
            threads.submit(server.send, csv("", "/predictUnstructured/"))
            eventually((tmp_path / "begun").exists, "the hook has begun")
            for _ in range(2):
                server.process.send_signal(signal.SIGTERM)
                server.wait_output("stopping")
            assert server.wait_exit() == 130
    finally:
        if server.process.poll() is None:
            server.kill()
    assert "Traceback" not in server.output()


ASYNC_HOOK = """\
import asyncio, os, pathlib

def load_model(code_dir):
    return 1

async def score_unstructured(model, data, **kwargs):
    pathlib.Path(os.environ["NOTES"]).touch()
    await asyncio.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux")
def test_a_model_that_waits_is_told_to_overlap_its_calls(faults: Faults) -> None:
    """By a server as it comes, once; the number of threads is that of the clients, whose calls would then overlap."""
    said = "Calls of the model wait rather than compute"
    server = faults.start(arguments=["--logging-level", "warning"])
    while said not in server.server.output():
        for call in [server.begin(order("sleep", 0.05)) for _ in range(50)]:
            assert call.result().status == 200
    (line,) = [line for line in server.server.output().splitlines() if said in line]
    assert "WARNING" in line
    assert re.search(r"set DRUM_FASTAPI_EXECUTOR_WORKERS=\d+; ", line)
