"""Texts and values were compared with datarobot-drum 1.18.1, case by case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drum_litestar.settings.runtime_params import parameters as runtime_params


def environment(value: Any) -> dict[str, str]:
    return {"MLOPS_RUNTIME_PARAM_X": value if isinstance(value, str) else json.dumps(value)}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("string", "a"),
        ("string", " "),
        ("string", None),
        ("numeric", 5),
        ("numeric", 5.5),
        ("numeric", "5"),
        ("numeric", " 5 "),
        ("numeric", "nan"),
        ("numeric", True),
        ("numeric", None),
        ("boolean", True),
        ("boolean", False),
        ("boolean", None),
        ("credential", None),
        ("credential", {"credentialType": "s3", "a": [1]}),
        ("deployment", "abc"),
        ("deployment", None),
    ],
)
def test_payload_is_returned_unchanged(kind: str, payload: Any) -> None:
    value = runtime_params.get("X", environment({"type": kind, "payload": payload}))
    assert value == payload
    assert type(value) is type(payload)


@pytest.mark.parametrize("text", ["notjson", "", '{"type":"string","payload":"a"} x'])
def test_text_that_is_not_json(text: str) -> None:
    with pytest.raises(runtime_params.RuntimeParameterError) as caught:
        runtime_params.get("X", environment(text))
    assert str(caught.value) == f"Invalid runtime parameter json payload. payload={text}"


@pytest.mark.parametrize(
    "value",
    [
        [],
        5,
        "x",
        {"type": "string"},
        {"payload": "x"},
        {"type": "string", "payload": ""},
        {"type": "string", "payload": 5},
        {"type": "numeric", "payload": "5x"},
        {"type": "numeric", "payload": [1]},
        {"type": "boolean", "payload": 1},
        {"type": "boolean", "payload": "true"},
        {"type": "credential", "payload": {}},
        {"type": "credential", "payload": {"credentialType": ""}},
        {"type": "credential", "payload": "x"},
        {"type": "deployment", "payload": ""},
        {"type": "STRING", "payload": "a"},
        {"type": "string", "payload": "a", "extra": 1},
    ],
)
def test_wrong_shape(value: Any) -> None:
    with pytest.raises(ValueError) as caught:
        runtime_params.get("X", environment(json.dumps(value)))
    text = str(caught.value)
    assert text.startswith(f"Invalid runtime parameter! env_value={value}, exception: {{0: DataError(")
    assert text.endswith("}, ")


def test_nested_text_is_drums() -> None:
    with pytest.raises(runtime_params.RuntimeParameterError) as caught:
        runtime_params.get("X", environment("5"))
    assert str(caught.value) == (
        "Invalid runtime parameter! env_value=5, exception: {0: DataError('{0: DataError(\\'{0: DataError(\"{0: "
        "DataError(\\\\\\'value is not a dict\\\\\\'), 1: DataError(\\\\\\'value is not a dict\\\\\\')}\"), 1: "
        "DataError(\\\\\\'value is not a dict\\\\\\')}\\'), 1: DataError(\\'value is not a dict\\')}'), 1: "
        "DataError('value is not a dict')}, "
    )


def test_absent_parameter() -> None:
    assert not runtime_params.has("X", {})
    with pytest.raises(ValueError, match=r"^Runtime parameter 'X' does not exist!$"):
        runtime_params.get("X", {})


def test_has_looks_only_at_existence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_RUNTIME_PARAM_X", "notjson")
    assert runtime_params.has("X")
    assert not runtime_params.has("x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("", None),
        ("null", None),
        ("litestar", "litestar"),
        (" 300 ", "300"),
        ('"x"', "x"),
        ('"x', '"x'),
        ("true", True),
        ("false", False),
        ('{"type": "boolean", "payload": false}', False),
        ('{"type": "numeric", "payload": null}', None),
    ],
)
def test_bare_values(text: str | None, value: Any) -> None:
    assert runtime_params.read_bare(text) == value


def test_bare_reading_still_refuses_malformed_objects() -> None:
    with pytest.raises(runtime_params.RuntimeParameterError):
        runtime_params.read_bare("{")
