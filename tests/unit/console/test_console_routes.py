"""The console's routes over a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from drum_litestar.console.console import Console
from drum_litestar.console.console_routes import CONSOLE_ROUTES, FOLDER
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.predictors.protocol import InferenceInfo, ModelCall, ModelCard, Reply, TargetType, TensorInfo
from drum_litestar.predictors.steps import record_exception, step
from http_serving import Broken, Mirror, Serving, StateExecutor, mirror, options, serving
from support.options import executor_options

CARD = ModelCard(
    target_type=TargetType.BINARY,
    info={"predictor": "scikit-learn", "positiveClassLabel": "yes", "negativeClassLabel": "no"},
    inference=InferenceInfo("x", (TensorInfo("a", "FP64", (-1,)), TensorInfo("b", "BYTES", (-1,)))),
    example=(("a", "1.5"), ("c", "x")),
)


def console(show_stacktrace: bool = False) -> Console:
    rows = [{"name": "ADDRESS", "value": "x", "source": "default"}]
    return Console(name="m", versions={"DRUM": "1"}, settings=rows, show_stacktrace=show_stacktrace)


def with_console(show_stacktrace: bool = False, **fields: Any) -> Any:
    return options(protocol_routes=CONSOLE_ROUTES, console=console(show_stacktrace), **fields)


def test_the_overview_describes_server_and_model() -> None:
    with mirror(CARD, with_console()) as (server, _):
        found = server.client.get("/console/api/overview")
        assert found.headers["cache-control"] == "no-store"
        overview = found.json()
    assert overview["model"]["labels"] == ["yes", "no"]
    assert overview["model"]["columns"] == [
        {"name": "a", "type": "FP64", "example": "1.5"},
        {"name": "c", "type": "", "example": "x"},
    ]
    assert overview["model"]["offers"] == {
        "rows": True, "transform": False, "unstructured": False, "chat": False, "completions": False,
        "embeddings": False,
    }  # fmt: skip
    assert (overview["name"], overview["state"], overview["failure"]) == ("m", "ready", "")
    assert overview["versions"].keys() == {"DRUM", "Python of the server"}
    assert overview["settings"] == [{"name": "ADDRESS", "value": "x", "source": "default"}]
    assert [worker["number"] for worker in overview["workers"]] == [0]


def test_there_is_an_overview_without_a_model() -> None:
    with serving(StateExecutor("starting"), with_console()) as server:
        overview = server.client.get("/console/api/overview").json()
        assert (overview["state"], overview["model"]) == ("starting", None)
    failed = InlineExecutor(Broken, executor_options(error_server=True))
    with serving(failed, with_console()) as server:
        overview = server.client.get("/console/api/overview").json()
        assert (overview["state"], overview["model"], overview["failure"]) == ("failed", None, "no such artifact")


def test_columns_come_from_the_tensors_where_there_is_no_example() -> None:
    card = ModelCard(target_type=TargetType.MULTICLASS, info={"classLabels": [1, "x"]}, inference=CARD.inference)
    with mirror(card, with_console()) as (server, _):
        model = server.client.get("/console/api/overview").json()["model"]
    assert model["labels"] == ["1", "x"]
    assert [(each["name"], each["example"]) for each in model["columns"]] == [("a", ""), ("b", "")]


def test_the_page_and_its_parts() -> None:
    with mirror(CARD, with_console(url_prefix="/p")) as (server, _):
        moved = server.client.get("/p/console")
        assert (moved.status_code, moved.headers["location"]) == (307, "console/")
        for path in FOLDER.iterdir():
            name = "" if path.name == "index.html" else path.name
            answer = server.client.get(f"/p/console/{name}")
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self'; style-src 'self'" in policy
            assert "unsafe" not in policy
        assert server.client.get("/console/").status_code == 404
        assert server.client.get("/p/console/nothing.js").status_code == 404


def test_nothing_in_the_page_is_inline_or_from_elsewhere() -> None:
    html = (FOLDER / "index.html").read_text()
    assert "style=" not in html
    assert " on" not in html.replace(" one", "").replace(" only", "")
    for path in FOLDER.glob("*.js"):
        source = path.read_text()
        for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "cssText"):
            assert sink not in source, path.name
        assert "http://" not in source.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in source


def post(server: Serving, **headers: str) -> httpx.Response:
    return server.client.post("/predict/", content=b"x,y\n1,2\n", headers={"Content-Type": "text/csv", **headers})


class Stepped(Mirror):
    """A predictor with steps that fails on demand."""

    def handle(self, call: ModelCall) -> Reply:
        with step("parse"), step("model"):
            pass
        try:
            raise ValueError("broken")
        except ValueError as error:
            record_exception(error)
        return Reply(status=500, body=b'{"message": "broken"}')


@contextmanager
def stepped(settings: Any) -> Iterator[Serving]:
    with serving(InlineExecutor(lambda: Stepped(CARD), executor_options()), settings) as server:
        yield server


def test_times_of_a_request_are_told_to_whom_asks_where_the_console_is_on() -> None:
    with stepped(with_console()) as server:
        assert "server-timing" not in post(server).headers
        told = post(server, **{"X-Drum-Times": "1"}).headers["server-timing"]
        assert [part.partition(";dur=")[0] for part in told.split(", ")] == ["queue", "model", "parse", "call"]
    with stepped(options()) as server:
        assert "server-timing" not in post(server, **{"X-Drum-Times": "1"}).headers
        assert server.client.get("/console/").status_code == 404


@pytest.mark.parametrize("shown", [False, True])
def test_a_failed_call_is_among_the_faults(shown: bool) -> None:
    with stepped(with_console(shown)) as server:
        post(server)
        found = server.client.get("/console/api/faults").json()
    assert found["show_stacktrace"] is shown
    (fault,) = found["faults"]
    assert (fault["status"], fault["kind"]) == (500, "model")
    assert ("ValueError: broken" in fault["traceback"]) is shown
    assert ("broken" in fault["text"]) is shown


def test_the_console_answers_while_the_model_is_busy_and_live_figures_end_with_their_viewer() -> None:
    settings = with_console()
    with mirror(CARD, settings) as (server, predictor):
        predictor.script[b"x,y\n1,2\n"] = predictor.wait
        call = threading.Thread(target=post, args=[server])
        call.start()
        assert predictor.entered.acquire(timeout=60)
        with server.client.stream("GET", "/console/api/live") as live:
            assert live.headers["content-type"].startswith("text/event-stream")
            line = next(live.iter_lines())
        assert json.loads(line.removeprefix("data: "))["busy"] == 1
        assert server.client.get("/console/api/requests").json() == {"requests": []}
        predictor.go_on.set()
        call.join(60)
