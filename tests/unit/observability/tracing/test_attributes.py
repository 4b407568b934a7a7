from __future__ import annotations

import logging

import pytest

from drum_litestar.observability.tracing import attributes
from drum_litestar.observability.tracing.attributes import sendable, settable, takes_any_value

VALUES = {"text": "x", "null": None, "parts": [{"type": "text"}, 1], "yes": True, "number": 1.5}


@pytest.fixture
def old_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "takes_any_value", lambda: False)


@pytest.mark.usefixtures("old_sdk")
def test_an_older_sdk_gets_attributes_that_it_accepts() -> None:
    expected = {"text": "x", "parts": '[{"type": "text"}, 1]', "yes": True, "number": 1.5}
    assert settable(VALUES) == expected


def test_the_probe_agrees_with_the_installed_sdk_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    from opentelemetry.attributes import BoundedAttributes

    takes_any_value.cache_clear()
    assert takes_any_value() == ("parts" in BoundedAttributes(attributes={"parts": None}))
    if takes_any_value():
        assert settable(VALUES) is VALUES
        assert caplog.records == []
    assert not logging.getLogger("opentelemetry.attributes").disabled


def test_sendable_keeps_values_that_can_be_encoded() -> None:
    value = {"a": [1, -(2**63), 2**63 - 1, "é", None, True, 1.5]}
    assert sendable(value) == value
    assert sendable([2**63, "\udcff"]) == [str(2**63), "?"]
