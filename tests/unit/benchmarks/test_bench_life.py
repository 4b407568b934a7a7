"""Scenarios of a server's life: the rolling restart through a real HAProxy, start and memory with a large model."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

pytest.importorskip("uvloop")

from benchmarks import contenders
from benchmarks.contenders.base import Contender, Launch, drum_request
from benchmarks.load import large_model
from benchmarks.load.rolling_restart import REPLACEMENTS, SERVERS, available, rolling_restart
from benchmarks.report.markdown import render
from benchmarks.report.plots import draw
from benchmarks.report.result import Described, Figures, Result, Sample
from benchmarks.report.result_comparison import changes
from benchmarks.report.tables import losses
from benchmarks.runner.measure import measure
from benchmarks.servers.server_process import Running
from benchmarks.workload import models
from benchmarks.workload.prediction_request import PredictionRequest
from benchmarks.workload.scenarios import LIFE, SCENARIOS, Scenario

ROWS = PredictionRequest("/predict/", (b"a,b\n1,2\n",), "text/csv")
LIVES = [scenario for scenario in SCENARIOS if scenario.kind in LIFE]


class Server(ThreadingHTTPServer):
    """Answers POST with ``status`` and the next of ``answers``, GET with 200 while it is not ``stopping``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, status: int = 200, answers: tuple[bytes, ...] = (b"{}",)) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.status = status
        self.answers = itertools.cycle(answers)
        self.stopping = False
        self.refused = threading.Semaphore(0)
        """Released with each probe that is answered with 503."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.answer(503 if self.server.stopping else 200, b"")
        if self.server.stopping:
            self.server.refused.release()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(self.server.status, next(self.server.answers))

    def answer(self, status: int, body: bytes) -> None:
        self.wfile.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    with server:
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Starts:
    """Starts servers; one that is stopped says so to the proxy, and ends when that knows."""

    def __init__(self, status: int = 200) -> None:
        self.started: list[int] = []
        self._status = status

    @contextlib.contextmanager
    def __call__(self, port: int) -> Iterator[None]:
        self.started.append(port)
        with serving(Server(port, self._status)) as server:
            yield
            server.stopping = True
            for _ in range(2):  # the first one may have been on its way
                server.refused.acquire(timeout=10)


@pytest.mark.skipif(available() is not None, reason="needs haproxy")
def test_a_restart_that_the_proxy_hears_of_loses_nothing() -> None:
    start = Starts()
    figures = rolling_restart(start, ROWS, "/readyz", clients=4)
    assert figures["lost"] == 0
    assert figures["requests"] > 4 * REPLACEMENTS
    assert len(set(start.started)) == len(start.started) == SERVERS + REPLACEMENTS


@pytest.mark.skipif(available() is not None, reason="needs haproxy")
def test_other_answers_than_200_are_lost() -> None:
    figures = rolling_restart(Starts(500), ROWS, "/readyz", clients=2)
    assert figures["lost"] == figures["requests"] > 2 * REPLACEMENTS


@pytest.mark.skipif(available() is not None, reason="needs haproxy")
def test_a_server_that_does_not_start_ends_the_restart() -> None:
    start = Starts()

    @contextlib.contextmanager
    def fails(port: int) -> Iterator[None]:
        if len(start.started) == SERVERS:
            raise OSError("no more")
        with start(port):
            yield

    with pytest.raises(OSError, match="no more"):
        rolling_restart(fails, ROWS, "/readyz", clients=2)


@pytest.fixture
def family() -> Iterator[list[int]]:
    """This process and a child."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield [os.getpid(), child.pid]


def predictions(pids: list[int]) -> Server:
    """The answers of two contenders in turn, from several processes."""
    forms = ('{"predictions":[%.1f]}', '{"id": "12-%d-34", "outputs": [{"shape": [1], "data": [%.1f]}]}')
    answers = [forms[0] % pids[0], *(forms[1] % (pids[-1], pid) for pid in pids)]
    return Server(0, answers=tuple(answer.encode() for answer in answers))


def test_all_workers_have_answered_when_each_process_has(family: list[int]) -> None:
    with serving(predictions(family)) as server:
        running = Running(server.server_port, psutil.Process(), 1.5)
        contender = Contender("one", "One", lambda *_: Launch([]), request=lambda _: ROWS)
        figures = measure(running, contender, Scenario("start", "start", workers=2), 1.0, 0.0)
        assert figures["first"] == 1.5
        assert figures["all"] > 1.5
        figures = measure(running, contender, Scenario("memory", "memory", workers=2), 1.0, 0.0)
        assert figures["processes"] >= 2
        assert figures["pss"] > 1


def test_workers_that_cannot_be_told_apart_have_no_figure(family: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_model, "TIMEOUT", 0.2)
    with serving(predictions(family[:1])) as server:
        running = Running(server.server_port, psutil.Process(), 1.5)
        assert large_model.start(running, ROWS, workers=2) == {"first": 1.5}


def test_a_large_model_answers_with_its_process_and_its_array_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numpy, pd = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    large = models.MODELS["large"]
    assert large.embeddings is not None
    assert large.embeddings[0] * large.embeddings[1] * numpy.float32().nbytes == 2**30
    monkeypatch.setitem(models.MODELS, "large", replace(large, embeddings=(7, 3)))
    monkeypatch.setenv("DRUM_BENCH_CACHE", str(tmp_path / "cache"))
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        models.make("large", folder)
    assert (folders[0] / "embeddings.npy").samefile(folders[1] / "embeddings.npy")
    spec = importlib.util.spec_from_file_location("large_custom", folders[0] / "custom.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(custom := importlib.util.module_from_spec(spec))
    model = custom.load_model(str(folders[0]))
    assert model.shape == (7, 3)
    frame = pd.DataFrame([[-0.25, 1.0], [3.0, 4.0]])
    assert custom.score(frame, model)["Predictions"].tolist() == [os.getpid()] * 2


def test_a_lame_duck_is_for_restarts_only() -> None:
    (duck,) = (one for one in contenders.CONTENDERS if one.name == "lame-duck")
    assert {s.kind for s in SCENARIOS if duck.absent(s) is None} == {"rollout"}


def test_this_server_is_asked_for_its_readiness() -> None:
    assert {one.ready_path for one in contenders.CONTENDERS if one.name in ("ours", "lame-duck")} == {"/readyz"}


@pytest.mark.parametrize("scenario", LIVES, ids=lambda scenario: scenario.name)
def test_requests_of_a_life_are_those_of_one_row(scenario: Scenario) -> None:
    assert all(body.count(b"\n") == 2 for body in drum_request(scenario).bodies)


def result(figures: dict[str, list[Figures]]) -> Result:
    """One round of each life by contender."""
    return Result(
        created="2030-01-01T00:00:00+00:00",
        machine={},
        settings={},
        contenders={name: name.upper() for name in figures},
        described={s.name: Described(s.kind, s.work, s.workers, s.data, s.load) for s in LIVES},
        versions={},
        commands={},
        samples=[
            Sample(scenario.name, name, 1, found)
            for name, each in figures.items()
            for scenario, found in zip(LIVES, each, strict=False)
        ],
        starts=[],
        absences=[],
        plain_loop={},
    )


def life(lost: float, first: float = 2.0, pss: float = 4400.0) -> list[Figures]:
    return [{"lost": lost, "requests": 900.0}, {"first": first, "all": 2 * first}, {"pss": pss, "processes": 5.0}]


def test_none_lost_is_better_than_some_and_equal_to_none() -> None:
    name = LIVES[0].name
    assert f"| {name} | lost requests | FASTAPI | 0 | 12 |" in losses(
        result({"drum": life(20), "ours": life(12), "fastapi": life(0)})
    )
    assert losses(result({"drum": life(20), "ours": life(0), "fastapi": life(0)})).startswith("In no scenario")
    assert result({"drum": life(0), "ours": life(3)}).gain(name, "ours") is None
    assert result({"drum": life(3), "ours": life(0)}).gain(name, "ours") is None


def test_a_life_is_in_tables_and_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = result({"drum": life(0), "ours": life(3, first=1.0), "lame-duck": life(0)[:1]})
    text = render(found, draw(found, tmp_path))
    assert "| OURS | 3 | 900 | - |" in text
    assert "| server | lost requests | requests | x DRUM |" in text
    assert "| OURS | 1 | 2 | 0.50 |" in text
    assert "| OURS | 4,400 | 5 | 1.00 |" in text
    assert "](life.svg)" in text
    assert (tmp_path / "life.svg").exists()


def test_results_are_compared_in_start_and_memory() -> None:
    old, new = result({"ours": life(0)}), result({"ours": life(0, first=3.0, pss=1400.0)})
    assert [(change.figure, change.better) for change in changes(old, new)] == [
        ("first", False),
        ("all", False),
        ("pss", True),
    ]
