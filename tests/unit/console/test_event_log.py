from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from drum_litestar.console.event_log import HIDDEN, LONGEST, EventLog
from drum_litestar.errors import WorkerDiedError
from drum_litestar.observability.logs.log_format import LIFECYCLE_LOGGER
from drum_litestar.predictors.protocol import Reply
from drum_litestar.request_context import request_id_var
from drum_litestar.request_state import RequestState
from drum_litestar.settings import masking

SECRET = "a-secret-value"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_process_values", (SECRET,))


@pytest.fixture
def in_a_request() -> Iterator[str]:
    token = request_id_var.set("rid")
    yield "rid"
    request_id_var.reset(token)


def state(**fields: str) -> RequestState:
    return RequestState(request_id="rid", path_template="/predict", **fields)  # type: ignore[arg-type]


def failing(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("some.part").exception("it failed with %s", text)


def test_a_failed_call_is_told_as_far_as_the_operator_allows() -> None:
    reply = Reply(status=500, body=f'{{"message": "x {SECRET}"}}'.encode(), traceback=f"Traceback {SECRET}")
    for shown in (False, True):
        events = EventLog(show_stacktrace=shown)
        events.call_failed(state(), 500, reply)
        (fault,) = events.faults()
        assert (fault.request_id, fault.route, fault.status, fault.kind) == ("rid", "/predict", 500, "model")
        assert fault.text == ('{"message": "x *****"}' if shown else HIDDEN)
        assert fault.traceback == ("Traceback *****" if shown else "")


def test_an_error_of_ours_is_no_secret() -> None:
    events = EventLog(show_stacktrace=False)
    events.call_failed(state(), 500, WorkerDiedError("the worker died"))
    assert [(fault.kind, fault.text) for fault in events.faults()] == [("WorkerDiedError", "the worker died")]


def test_records_of_a_request_hide_their_texts(in_a_request: str) -> None:
    for shown in (False, True):
        events = EventLog(show_stacktrace=shown)
        with events.listening():
            failing("what a client sent")
            logging.getLogger("some.part").warning("no fault")
        (fault,) = events.faults()
        assert (fault.request_id, fault.kind) == (in_a_request, "ValueError")
        assert fault.text == ("it failed with what a client sent" if shown else HIDDEN)
        assert ("ValueError: what a client sent" in fault.traceback) is shown
        assert events.events() == []


def test_a_fault_that_was_logged_here_gets_the_status_of_its_answer(in_a_request: str) -> None:
    events = EventLog(show_stacktrace=True)
    with events.listening():
        failing("x")
    events.call_failed(state(), 500, Reply(status=500, body=b"y"))
    (fault,) = events.faults()
    assert (fault.status, fault.route, fault.text, events.fault_count) == (500, "/predict", "it failed with x", 1)


def test_the_history_has_the_life_cycle_and_what_no_request_caused(caplog: pytest.LogCaptureFixture) -> None:
    events = EventLog(show_stacktrace=False, clock=lambda: 7.0)
    with events.listening(), caplog.at_level(logging.INFO):
        logging.getLogger(LIFECYCLE_LOGGER).info("ready on %s", f"http://h?token={SECRET}")
        logging.getLogger("other").info("of no interest")
        failing(SECRET)
    events.worker_restarted("died")
    assert [(each.at, each.level, each.text) for each in events.events()] == [
        (7.0, "WARNING", "a model worker is replaced: died"),
        (7.0, "ERROR", "it failed with *****"),
        (7.0, "INFO", "ready on http://h?token=*****"),
    ]
    (fault,) = events.faults()
    assert (fault.request_id, fault.text, fault.traceback) == ("", "it failed with *****", "")
    logging.getLogger("other").error("after the end")
    assert events.fault_count == 1


def test_of_a_long_text_the_end_is_kept() -> None:
    events = EventLog(show_stacktrace=True)
    events.call_failed(state(), 500, Reply(status=500, body=b"a" * LONGEST + b"end"))
    (fault,) = events.faults()
    assert len(fault.text) == LONGEST + 4
    assert fault.text.endswith("aend")
