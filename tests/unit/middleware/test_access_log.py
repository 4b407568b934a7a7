from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from base64 import b64encode
from typing import Any

import pytest

from asgi_calls import ask, call, carrying, http_scope, raising, replying
from drum_litestar.middleware.access_log import FLUSH_INTERVAL, AccessLogMiddleware, printable
from drum_litestar.middleware.asgi import Receive, Scope, Send
from routed import OPERATORS, PROBES, routed
from support import clock
from support.clock import advance


def lines(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == name]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def ask_logged(app: Any, scope: Scope) -> None:
    middleware = AccessLogMiddleware(app)
    ask(middleware, scope)
    middleware.flush()


def test_gunicorns_format(log: pytest.LogCaptureFixture) -> None:
    headers = [
        (b"user-agent", b"curl/7.88.1"),
        (b"referer", b"http://x/"),
        (b"authorization", b"Basic " + b64encode(b"me:pw")),
    ]
    ask_logged(replying(b"x" * 29), http_scope(headers=headers, query_string=b"a=b"))
    (line,) = lines(log, "drum_litestar.access")
    date = r"\[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    expected = rf'192\.0\.2\.1 - me {date} "POST /predict/\?a=b HTTP/1\.1" 200 29 "http://x/" "curl/7\.88\.1"'
    assert re.fullmatch(expected, line)
    assert lines(log, "drum.drum") == []


def test_a_line_in_fields(log: pytest.LogCaptureFixture) -> None:
    scope = http_scope(path="/a b", raw_path=b"/a%20b", query_string=b"c=d", state=carrying(request_id="RID1"))
    ask_logged(replying(status=404), scope)
    (record,) = (record for record in log.records if record.name == "drum_litestar.access")
    fields: dict[str, Any] = vars(record)
    shown = {name: fields[name] for name in ("method", "path", "client", "status", "request_id")}
    assert shown == {"method": "POST", "path": "/a b", "client": "192.0.2.1", "status": 404, "request_id": "RID1"}
    assert fields["duration"] > 0
    ask_logged(replying(), http_scope(client=None))
    assert vars(log.records[-1])["client"] is None


@pytest.mark.parametrize("prefix", ["", "/m"])
def test_probes_may_be_left_out(log: pytest.LogCaptureFixture, prefix: str) -> None:
    """Failed ones too; extensions, unknown paths and other routes of operators stay."""
    ended: list[str] = []
    middleware = AccessLogMiddleware(
        replying(status=503), probes=False, on_request_end=lambda _method, path, *_: ended.append(path)
    )
    app = routed(middleware, prefix)
    paths = [f"{prefix}{path}" for path in (*PROBES, *OPERATORS, "/ping/", "/metrics/", "/predict/", "/other")]
    for path in paths:
        ask(app, http_scope(path=path, method="GET"))
    middleware.flush()
    shown = [line.split(" ")[6] for line in lines(log, "drum_litestar.access")]
    assert shown == [f"{prefix}{path}" for path in ("/info", "/capabilities", "/stats", "/predict/", "/other")]
    assert ended == paths, "metrics count them all"


def test_missing_fields_are_dashes_and_head_has_no_bytes(log: pytest.LogCaptureFixture) -> None:
    scope = http_scope(method="HEAD", client=None, headers=[(b"authorization", b"Basic %%%")])
    ask_logged(replying(), scope)
    (line,) = lines(log, "drum_litestar.access")
    assert line.startswith("- - - [")
    assert line.endswith('"HEAD /predict/ HTTP/1.1" 200 0 "-" "-"')


def test_no_field_can_forge_a_line(log: pytest.LogCaptureFixture) -> None:
    evil = b'x" 200 0\r\n\x1b[31m\x85\\'
    scope = http_scope(
        path="/\nforged\u2028", raw_path=b"/%0Aforged", query_string=evil, headers=[(b"user-agent", evil)]
    )
    scope["headers"] += [(b"referer", evil), (b"authorization", b"Basic " + b64encode(b"a b\n:"))]
    ask_logged(replying(status=404), scope)
    for record in log.records:
        message = record.getMessage()
        assert message.isprintable()
        assert message.isascii()
    (line,) = lines(log, "drum_litestar.access")
    assert line.count('"') == 6
    assert 'x\\x22 200 0\\x0d\\x0a\\x1b[31m\\x85\\x5c"' in line
    assert " - a\\x20b\\x0a [" in line
    assert printable("é ü") == "é ü"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('9.9.9.9 - me [now] "GET /forged HTTP/1.1" 200 1', "9.9.9.9\\x20-\\x20me\\x20"),
        ("9.9.9.9 -", "9.9.9.9\\x20- - - ["),
        ("9.9.9.9\x85\x9b31m", "9.9.9.9\\x85\\x9b31m - - ["),
        ("2001:db8::1", "2001:db8::1 - - ["),
        ("", "- - - ["),
    ],
)
def test_a_client_name_passed_on_by_a_proxy_cannot_forge_a_field(
    name: str, shown: str, log: pytest.LogCaptureFixture
) -> None:
    ask_logged(replying(), http_scope(client=(name, 0)))
    (line,) = lines(log, "drum_litestar.access")
    assert line.startswith(shown)
    assert line.count(' "') == 3
    assert line.isprintable()


def test_a_line_that_cannot_be_formatted_does_not_affect_others(log: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["raw_path"] = "text"
        await replying()(scope, receive, send)

    middleware = AccessLogMiddleware(app)
    ask(middleware, http_scope())
    middleware.app = replying()
    ask(middleware, http_scope())
    middleware.flush()
    assert len(lines(log, "drum_litestar.access")) == 1
    assert "missing in the access log" in log.text


def test_records_come_from_the_record_factory(log: pytest.LogCaptureFixture) -> None:
    former, numbers = logging.getLogRecordFactory(), iter(range(100))

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = former(*args, **kwargs)
        record.number = next(numbers)
        return record

    logging.setLogRecordFactory(factory)
    try:
        for _ in range(2):
            ask_logged(replying(), http_scope())
    finally:
        logging.setLogRecordFactory(former)
    found = [vars(record)["number"] for record in log.records if record.name == "drum_litestar.access"]
    assert len(set(found)) == 2


@pytest.mark.parametrize(("query", "shown"), [(b"a=b", "/predict/?a=b"), (b"", "/predict/?")])
def test_drums_line_for_failures(log: pytest.LogCaptureFixture, query: bytes, shown: str) -> None:
    scope = http_scope(query_string=query, state=carrying(request_id="RID1"))
    ask(AccessLogMiddleware(replying(status=422)), scope)
    (line,) = lines(log, "drum.drum")
    assert re.fullmatch(rf"API \[POST {re.escape(shown)}\] request time: \d+\.\d{{6}} sec, request_id: RID1", line)


def test_response_time_and_the_hooks() -> None:
    ticks = iter([10.0, 10.0125, 12.0])
    calls: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = "/predict"
        await replying(status=201)(scope, receive, send)

    middleware = AccessLogMiddleware(
        app,
        on_request_start=lambda: calls.append("start"),
        on_request_end=lambda *args: calls.append(args),
        clock=lambda: next(ticks),
    )
    assert ask(middleware).header(b"x-response-time-ms") == b"12.500"
    assert calls == ["start", ("POST", "/predict/", "/predict", 201, 2.0)]


def outcome(app: Any, **state: Any) -> int:
    statuses: list[int] = []
    middleware = AccessLogMiddleware(app, on_request_end=lambda *args: statuses.append(args[3]))
    with contextlib.suppress(RuntimeError, asyncio.CancelledError):
        ask(middleware, http_scope(state=carrying(**state)))
    (status,) = statuses
    return status


def test_every_request_has_a_status_however_it_ends() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        return None

    assert outcome(silent) == 499
    assert outcome(silent, protocol_answer=(408, 3)) == 408
    assert outcome(replying(), protocol_answer=(400, 3)) == 400
    assert outcome(raising(RuntimeError())) == 500
    assert outcome(raising(RuntimeError(), after_start=True)) == 200
    assert outcome(raising(asyncio.CancelledError())) == 499


def test_a_stream_is_logged_once_when_it_has_ended(log: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"12345", "more_body": True})
            assert not lines(log, "drum_litestar.access")
        await send({"type": "http.response.body"})

    middleware = AccessLogMiddleware(app)
    assert asyncio.run(call(middleware, http_scope())).body == b"12345" * 3
    middleware.flush()
    (line,) = lines(log, "drum_litestar.access")
    assert " 200 15 " in line


def test_lines_are_flushed_after_an_interval_and_at_the_end_of_the_lifespan(
    log: pytest.LogCaptureFixture,
) -> None:
    seen: list[int] = []

    async def main() -> None:
        middleware = AccessLogMiddleware(replying())
        for _ in range(3):
            await call(middleware, http_scope(state=carrying(request_id="RID1")))
        seen.append(len(lines(log, "drum_litestar.access")))
        await advance(FLUSH_INTERVAL)
        seen.append(len(lines(log, "drum_litestar.access")))
        await call(middleware, http_scope())
        await call(middleware, {"type": "lifespan"})
        seen.append(len(lines(log, "drum_litestar.access")))

    clock.run(main())
    assert seen == [0, 3, 4]
