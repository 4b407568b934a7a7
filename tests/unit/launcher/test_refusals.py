"""Log of refused requests: one warning a minute for each reason, with the setting that decides."""

from __future__ import annotations

import logging

import pytest

from drum_litestar.launcher.refusals import INTERVAL, RefusalLog
from drum_litestar.settings.resolve import resolve

SETTINGS = {
    "DRUM_RATE_LIMIT_ENABLED": "true",
    "DRUM_UVICORN_LIMIT_CONCURRENCY": "500",
    "DRUM_CLIENT_REQUEST_TIMEOUT": "600.5",
}
SAID = {
    "queue_full": "503: the queue is full; the limit is DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH=1234",
    "queue_timeout": (
        "503: no worker was free, or loaded, in time; the limit is DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT=30 s"
    ),
    "deadline": (
        "504: its deadline passed while it waited in the queue; the limit is DRUM_CLIENT_REQUEST_TIMEOUT=600.5 s"
    ),
    "body_too_large": "413: its body is too large; the limit is DRUM_FASTAPI_MAX_UPLOAD_SIZE=100MiB",
    "form_too_large": (
        "413: its form is too large; the limit is DRUM_FORM_MAX_PARTS=1000 DRUM_FORM_MAX_FIELD_SIZE=500kB"
    ),
    "connection_limit": "503: too many connections are open; the limit is DRUM_UVICORN_LIMIT_CONCURRENCY=500",
    "rate_limit": "429: its client sends too many; the limit is DRUM_RATE_LIMIT_RPM=60 DRUM_RATE_LIMIT_BURST=10",
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> RefusalLog:
    return RefusalLog(resolve({}, SETTINGS).settings, lambda: {"executor_max_queue": 1234}, clock)


@pytest.mark.parametrize("reason", SAID)
def test_each_reason_names_its_setting_and_value(
    refusals: RefusalLog, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    refusals.refused(reason)
    assert caplog.record_tuples == [
        ("drum_litestar.refusals", logging.WARNING, f"A request was refused with {SAID[reason]}")
    ]


def test_once_a_minute_for_each_reason_with_the_number_of_those_that_were_not_logged(
    refusals: RefusalLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        refusals.refused("queue_full")
        refusals.refused("rate_limit")
    assert len(caplog.messages) == 2
    clock.now = INTERVAL - 0.1
    refusals.refused("queue_full")
    assert len(caplog.messages) == 2
    clock.now = INTERVAL
    refusals.refused("queue_full")
    assert caplog.messages[2].endswith("QUEUE_DEPTH=1234 (5 more since the last such warning)")
    clock.now = 3 * INTERVAL
    refusals.refused("queue_full")
    assert caplog.messages[3].endswith("QUEUE_DEPTH=1234")
    assert len(caplog.messages) == 4


def test_reasons_without_a_setting_are_not_logged(refusals: RefusalLog, caplog: pytest.LogCaptureFixture) -> None:
    for reason in ("not_ready", "unauthorized", "slow_head"):
        refusals.refused(reason)
    assert not caplog.messages
