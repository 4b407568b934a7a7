"""One request of each traced route to the real DRUM and to ours, and what each of them tells the same collector.

``pytest tests/parity/test_parity_spans.py -s`` prints both side by side, as a Markdown table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.data import csv_of, table
from support.servers.backends import DrumOracle, start_adapter, start_drum, start_ours
from support.servers.llm import llm, sidecar_options
from support.servers.otlp import Collector
from support.servers.process import ServerProcess
from support.servers.upstream import upstream
from support.wire import Request, csv, get, post, post_json
from support.zoo import Zoo, known_folders
from support.zoo.registry import ModelFolder

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
HEAD = (
    ("traceparent", f"00-{TRACE}-{PARENT}-01"),
    ("X-DataRobot-Consumer-Id", "someone"),
    ("X-DataRobot-Consumer-Type", "user"),
)


def chat(answer: str) -> Request:
    """The folder's hook evaluates ``do``."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"}]
    return post_json("/v1/chat/completions", {"model": "m", "messages": messages, "do": answer})


ROUTES: dict[str, tuple[str, Request, frozenset[str]]] = {
    "predict": ("regression", csv(csv_of(table(3, seed=5))), frozenset({"drum.invocations"})),
    "predict, missing columns": ("regression", csv("a\n1\n"), frozenset({"drum.invocations"})),
    "predict, no data": ("regression", csv(b""), frozenset({"drum.invocations"})),
    "transform": ("transform", csv(csv_of(table(3, seed=5)), "/transform/"), frozenset({"drum.transform"})),
    "unstructured": (
        "unstructured",
        post("/predictUnstructured/", b"text", "text/plain"),
        frozenset({"drum.predictUnstructured"}),
    ),
    "chat": ("chat_text", chat("complete()"), frozenset({"drum.chat.completions"})),
    "chat, stream": (
        "chat_text",
        chat("chunks('He', 'llo')"),
        frozenset({"drum.chat.completions", "drum.chat.completions.stream"}),
    ),
    "directAccess without LLM": ("regression", post("/directAccess/x", b"{}"), frozenset({"drum.directAccess"})),
}
ADDED = "drum."
"""Prefix of the attributes that only ours have."""
Spans = dict[str, dict[str, Any]]
"""By name."""
NO_CALL = ("predict, no data", "directAccess without LLM")
"""Answered without asking the model."""


@pytest.fixture(scope="module")
def servers(
    zoo: Zoo, drum_oracle: DrumOracle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, tuple[Collector, ServerProcess]]]]:
    """For each model folder both servers, with a collector each."""
    logs = tmp_path_factory.mktemp("span-logs")
    running: dict[str, dict[str, tuple[Collector, ServerProcess]]] = {}
    try:
        for name in {folder for folder, _, _ in ROUTES.values()}:
            running[name] = {side: _start(side, name, zoo, drum_oracle, logs) for side in ("DRUM", "ours")}
        for sides in running.values():
            for _, server in sides.values():
                server.wait_ready()
        yield running
    finally:
        for sides in running.values():
            for collector, server in sides.values():
                server.kill()
                collector.close()


def _start(side: str, name: str, zoo: Zoo, oracle: DrumOracle, logs: Path) -> tuple[Collector, ServerProcess]:
    collector = Collector()
    folder, path = zoo[name]
    env = {**folder.env, **exporting_to(collector)}
    log = logs / f"{side}-{name}.log"
    if side == "DRUM":
        return collector, start_drum(oracle, folder.command_line(path), log, env)
    return collector, start_ours(folder, path, log, env=env)


def exporting_to(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_SERVICE_NAME": "parity",
    }


def traced(side: tuple[Collector, ServerProcess], request: Request, names: frozenset[str]) -> Spans:
    """The spans of ``request``."""
    collector, server = side
    collector.spans.clear()
    server.send(request.with_headers(*HEAD))
    collector.wait_for(lambda found: names <= set(found.names()))
    return {span["name"]: span for span in collector.spans}


def parent_of(span: dict[str, Any], spans: Spans) -> str:
    if span["parent"] == PARENT:
        return "the client's"
    return next((other["name"] for other in spans.values() if other["span_id"] == span["parent"]), "?")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("route", ROUTES)
def test_same_spans(servers: dict[str, Any], route: str) -> None:
    folder, request, names = ROUTES[route]
    if not known_folders()[folder].drum:
        pytest.skip("the real DRUM cannot serve this folder here")
    drum = traced(servers[folder]["DRUM"], request, names)
    ours = traced(servers[folder]["ours"], request, names)
    compare(route, names, drum, ours)
    (first,) = [name for name in names if not name.endswith(".stream")]
    added = {name for name in ours[first]["attributes"] if name.startswith(ADDED)}
    assert {"drum.queue.duration_ms"} <= added if route not in NO_CALL else not added


@pytest.mark.timeout(300)
def test_same_spans_in_front_of_an_llm(drum_oracle: DrumOracle, python_with_drum: Path, tmp_path: Path) -> None:
    """``/directAccess/`` of DRUM's NIM predictor, in both servers; the LLM server gets the context of the last span."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "custom.py").write_text("# the NIM answers\n")
    nim = ModelFolder("nim", lambda _: None, "textgeneration", ("--gpu-predictor", "nim", "--sidecar"))
    with upstream() as up, Collector() as of_drum, Collector() as of_ours:
        up.answer = llm
        env = sidecar_options(up)
        drum = start_drum(drum_oracle, nim.command_line(path), tmp_path / "drum.log", {**env, **exporting_to(of_drum)})
        ours = start_adapter(python_with_drum, nim, path, tmp_path / "ours.log", {**env, **exporting_to(of_ours)})
        try:
            drum.wait_ready()
            ours.wait_ready()
            asked = {"model": "llm-1", "messages": [{"role": "user", "content": "hi there"}]}
            for request in (get("/directAccess/v1/models"), post_json("/directAccess/v1/chat/completions", asked)):
                names = frozenset({"drum.directAccess", request.method})
                sides = []
                for side in ((of_drum, drum), (of_ours, ours)):
                    sides.append(traced(side, request, names))
                    (passed_on,) = up.seen[-1].header("traceparent")
                    assert passed_on.split("-")[1:3] == [TRACE, sides[-1][request.method]["span_id"]]
                compare("directAccess", names, *sides)
        finally:
            drum.kill()
            ours.kill()


def compare(route: str, names: frozenset[str], drum: Spans, ours: Spans) -> None:
    print("\n" + side_by_side(route, drum, ours))
    for name in names:
        theirs, mine = drum[name], ours[name]
        assert mine["trace_id"] == theirs["trace_id"] == TRACE
        assert mine["kind"] == theirs["kind"]
        if mine["kind"] != "client":  # DRUM's are its HTTP library's
            assert mine["tracer"] == theirs["tracer"]
        assert parent_of(mine, ours) == parent_of(theirs, drum)
        assert comparable(mine["attributes"]) == comparable(theirs["attributes"])
        assert mine["status"][0] == theirs["status"][0]
        assert [event for event, _ in mine["events"]] == [event for event, _ in theirs["events"]]
    assert set(ours) <= set(drum)


def comparable(attributes: dict[str, Any]) -> dict[str, Any]:
    """Those of both, and JSON text as what it says: spaces in it are not part of the contract."""
    return {
        name: json.loads(value) if name.endswith(".messages") else value
        for name, value in sorted(attributes.items())
        if not name.startswith(ADDED)
    }


def side_by_side(route: str, drum: dict[str, Any], ours: dict[str, Any]) -> str:
    """Rows of a Markdown table."""
    lines = []
    for name in [*drum, *(name for name in ours if name not in drum)]:
        cells = [_described(spans[name], spans) if name in spans else "-" for spans in (drum, ours)]
        lines.append(f"| {route} | `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _described(span: dict[str, Any], spans: dict[str, Any]) -> str:
    words = [span["kind"], f"parent: {parent_of(span, spans)}", f"status: {span['status'][0]}"]
    words += [f"event: {name}" for name, _ in span["events"]]
    words += [f"{name}={str(value)[:60]}" for name, value in sorted(span["attributes"].items())]
    return "; ".join(words).replace("|", "\\|").replace("\n", " ")
