"""Logs and spans of a real HTTP process and its model worker: their output streams and a real collector."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.servers.otlp import Collector

TESTS = Path(__file__).parents[2]

FRONT = """
import asyncio, sys
from support.options import pool_options
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.observability.logs.setup import configure_logging
from drum_litestar.observability.metrics.execution_telemetry import ExecutorTelemetry
from drum_litestar.observability.providers import configure_telemetry
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply
from support.predictors.chatty import ChattySpec

json_lines = {json_lines}
pipeline = configure_logging("info", json_lines=json_lines)
telemetry = configure_telemetry(trace_steps=True)

async def request(executor, name, kind, request_id, body=None):
    with telemetry.tracing.request_span(name, ()) as span:
        call = ModelCall(kind=kind, request_id=request_id, trace=span.carrier, body=body)
        ticket = executor.admit()
        answer = await executor.submit(call, ticket=ticket)
        span.answered(answer if isinstance(answer, Reply) else answer.head)
    if not isinstance(answer, Reply):
        async for _ in answer: pass
    ticket.release()

async def main():
    executor = PoolExecutor(ChattySpec(), pool_options(
        builder="support.predictors.chatty:build_in_worker",
        builder_kwargs=dict(log_level="info", json_lines=json_lines, trace_requests=True, trace_steps=True),
        on_output=pipeline.forward,
        observer=ExecutorTelemetry(tracing=telemetry.tracing),
    ))
    await executor.start()
    await executor.wait_started()
    await request(executor, "drum.invocations", "predict", "works")
    await request(executor, "drum.transform", "transform", "fails")
    await request(executor, "drum.chat.completions", "chat", "talks",
                  Payload(data=b'{{"model": "gpt", "messages": [{{"role": "user", "content": "hi"}}]}}'))
    await executor.shutdown(10)

asyncio.run(main())
"""


def run(endpoint: str, *, json_lines: bool) -> tuple[list[str], list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", FRONT.format(json_lines=json_lines)],
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


@pytest.fixture(scope="module")
def seen() -> tuple[list[str], list[str], Collector]:
    with Collector() as collector:
        return *run(collector.endpoint, json_lines=False), collector


def test_spans_of_both_processes_make_one_trace(seen: tuple[list[str], list[str], Collector]) -> None:
    collector = seen[2]
    request, steps = collector.span("drum.invocations"), {}
    for step in ("parse", "model", "serialize", "hook"):
        (steps[step],) = [
            found for found in collector.spans if found["name"] == step and found["trace_id"] == request["trace_id"]
        ]
    assert {steps[step]["parent"] for step in ("parse", "model", "serialize")} == {request["span_id"]}
    assert steps["hook"]["parent"] == steps["model"]["span_id"]
    assert request["start"] <= steps["parse"]["start"] <= steps["serialize"]["end"] <= request["end"]


def test_the_workers_exception_is_on_the_http_processes_span(seen: tuple[list[str], list[str], Collector]) -> None:
    failed = seen[2].span("drum.transform")
    assert failed["status"][0] == "error"
    assert failed["status"][1].startswith("ValueError: first\n")
    ((_, event),) = failed["events"]
    assert event["exception.type"] == "ValueError"


def test_a_streamed_chat(seen: tuple[list[str], list[str], Collector]) -> None:
    collector = seen[2]
    request, stream = collector.span("drum.chat.completions"), collector.span("drum.chat.completions.stream")
    assert stream["parent"] == request["span_id"]
    assert request["attributes"]["gen_ai.prompt"] == "hi"
    assert stream["attributes"]["gen_ai.completion"] == "hello"
    generators = [span for span in collector.spans if span["name"] == "generator"]
    assert {span["parent"] for span in generators} == {stream["span_id"]}


def test_logs_are_exported_once_with_their_request(seen: tuple[list[str], list[str], Collector]) -> None:
    hook, failed = [log for log in seen[2].logs if log["body"] == "logged by the hook"]
    assert str(hook["attributes"]["context_data"]) == "{'request_id': 'works', 'worker': 1}"
    assert str(failed["attributes"]["context_data"]) == "{'request_id': 'fails', 'worker': 1}"
    assert hook["span_id"]


def test_streams_in_drums_format(seen: tuple[list[str], list[str], Collector]) -> None:
    out, err, _ = seen
    works = "{'request_id': 'works', 'worker': 1}"
    assert out[:3] == ["loading", f"printed by the hook {works}", "printed by native code"]
    starts = [line for line in err if re.match(r"\d{4}-", line)]
    assert any(line.endswith(f" WARNING mylog:  logged by the hook {works}") for line in starts)
    assert any(line.endswith(" ERROR mylog:  the hook failed {'request_id': 'fails', 'worker': 1}") for line in starts)
    assert "    2026-11-20 21:55:28,772 ERROR drum:  forged" in err
    assert not any("forged" in line for line in starts)
    assert any("OTEL is configured" in line for line in starts)


def test_streams_in_json() -> None:
    with Collector() as collector:
        out, err = run(collector.endpoint, json_lines=True)
        spans = {span["span_id"] for span in collector.spans}
    lines = [json.loads(line) for line in out + err]
    by_message = {line["message"]: line for line in lines}
    assert {line["worker"] for line in lines if line["logger"] in ("stdout", "mylog")} == {1}
    native = by_message["printed by native code"]
    assert (native["logger"], native["worker"]) == ("stdout", 1)
    hook = next(line for line in lines if line["message"] == "logged by the hook")
    assert hook["request_id"] == "works"
    assert hook["span_id"] in spans
    assert "forged" in by_message["the hook failed"]["exception"]
