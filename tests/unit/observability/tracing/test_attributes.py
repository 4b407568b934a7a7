from __future__ import annotations

from pathlib import Path

import pytest

from drum_litestar.observability.tracing import attributes
from drum_litestar.observability.tracing.attributes import TAKES_ANY_VALUE, sendable, settable

VALUES = {"text": "x", "null": None, "parts": [{"type": "text"}, 1], "yes": True, "number": 1.5}


def test_an_older_sdk_gets_attributes_that_it_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "TAKES_ANY_VALUE", False)
    expected = {"text": "x", "parts": '[{"type": "text"}, 1]', "yes": True, "number": 1.5}
    assert settable(VALUES) == expected


def test_what_is_known_of_the_installed_sdk_is_true() -> None:
    from opentelemetry.attributes import BoundedAttributes

    assert ("parts" in BoundedAttributes(attributes={"parts": None})) == TAKES_ANY_VALUE
    if TAKES_ANY_VALUE:
        assert settable(VALUES) is VALUES


def test_sendable_keeps_values_that_can_be_encoded() -> None:
    value = {"a": [1, -(2**63), 2**63 - 1, "é", None, True, 1.5]}
    assert sendable(value) == value
    assert sendable((2**63, "\udcff", {1: Path("x")})) == [str(2**63), "?", {"1": "x"}]
