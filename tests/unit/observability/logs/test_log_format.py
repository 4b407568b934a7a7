from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from drum_litestar.observability.logs.log_format import ContextFilter, JsonFormatter, TextFormatter, escape, json_line
from drum_litestar.request_context import request_id_var

EVIL = "a\nb\r\x1b[31m\x00\x85\u2028\u202e2026-11-20 21:55:28,772 ERROR drum:  forged"
START = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+:  ", re.MULTILINE)


def record(message: str, *args: object, name: str = "mylog", exc: BaseException | None = None) -> logging.LogRecord:
    info = (type(exc), exc, exc.__traceback__) if exc is not None else None
    return logging.LogRecord(name, logging.WARNING, "custom.py", 1, message, args, info)


def text(made: logging.LogRecord, worker: int | None = None) -> str:
    ContextFilter(worker).filter(made)
    return TextFormatter().format(made)


@pytest.fixture
def in_request() -> Iterator[None]:
    token = request_id_var.set("RID1")
    yield
    request_id_var.reset(token)


@pytest.mark.usefixtures("in_request")
def test_drums_line_in_a_request() -> None:
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING mylog:  in score 1 \{'request_id': 'RID1'\}",
        text(record("in score %d", 1)),
    )
    assert text(record("x"), worker=2).endswith("mylog:  x {'request_id': 'RID1', 'worker': 2}")


def test_drums_line_outside_a_request_ends_with_a_blank() -> None:
    assert text(record("starting")).endswith(" WARNING mylog:  starting ")
    assert text(record("starting"), worker=2).endswith(" WARNING mylog:  starting ")


def test_a_message_is_one_line_whatever_it_contains() -> None:
    line = text(record("got %s", EVIL, name="log\nger"))
    assert len(line.splitlines()) == 1
    assert len(START.findall(line)) == 1
    assert r"a\nb\r\x1b[31m\x00\x85\u2028\u202e" in line


def test_no_line_of_a_traceback_looks_like_a_record() -> None:
    try:
        raise ValueError(EVIL)
    except ValueError as exc:
        line = text(record("failed", exc=exc))
    first, *rest = line.split("\n")
    assert START.match(first)
    assert rest[0] == "    Traceback (most recent call last):"
    assert len(rest) >= 4
    assert all(part.startswith("    ") for part in rest)
    assert len(START.findall(line)) == 1
    assert "\x1b" not in line


def test_access_lines_have_no_prefix() -> None:
    access = '127.0.0.1 - - [20/Nov/2026:21:55:28 +0000] "POST /predict/ HTTP/1.1" 200 29 "-" "curl/7.88.1"'
    assert text(record(access, name="drum_litestar.access")) == access


def test_tabs_stay_and_clean_text_is_not_copied() -> None:
    clean = "a\tb é"
    assert escape(clean) is clean


@pytest.mark.usefixtures("in_request")
def test_json_has_request_trace_and_worker() -> None:
    made = record('127.0.0.1 "GET /"', name="drum_litestar.access")
    made.status, made.duration = 200, 0.0125
    context = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
    with trace.use_span(NonRecordingSpan(context)):
        fields = json.loads(JsonFormatter(worker=3).format(made))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("timestamp"))
    assert fields == {
        "level": "WARNING",
        "logger": "drum_litestar.access",
        "message": '127.0.0.1 "GET /"',
        "request_id": "RID1",
        "trace_id": f"{0xABC:032x}",
        "span_id": f"{0xDEF:016x}",
        "worker": 3,
        "duration": 0.0125,
        "status": 200,
    }


def test_json_is_one_valid_line_whatever_it_contains() -> None:
    try:
        raise ValueError(EVIL)
    except ValueError as exc:
        line = JsonFormatter().format(record("%s", EVIL, exc=exc))
    assert len(line.splitlines()) == 1
    fields = json.loads(line)
    assert fields["message"] == EVIL
    assert fields["exception"].endswith(EVIL)
    assert fields["exception"].startswith("Traceback")
    assert not {"request_id", "worker", "status", "duration", "trace_id"} & set(fields)


def test_values_that_json_cannot_encode_are_escaped() -> None:
    assert json.loads(json_line({"message": "\ud800", "status": object}))["message"] == "\\ud800"


def test_stack_info_is_shown() -> None:
    made = record("here")
    made.stack_info = "Stack (most recent call last):\n  somewhere"
    assert text(made).endswith("\n    Stack (most recent call last):\n      somewhere")
    assert sys.exc_info() == (None, None, None)
