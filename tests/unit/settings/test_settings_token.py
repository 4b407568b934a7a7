"""A token that is set but empty must never switch authentication off."""

from __future__ import annotations

import json

import pytest

from drum_litestar.errors import SettingsError
from drum_litestar.settings.resolve import resolve

NAME = "DRUM_API_TOKEN"
PARAMETER = f"MLOPS_RUNTIME_PARAM_{NAME}"
REMEDY = "set a token or remove the variable"


def parameter(kind: str, payload: object) -> dict[str, str]:
    return {PARAMETER: json.dumps({"type": kind, "payload": payload})}


def credential(**fields: str) -> dict[str, str]:
    return parameter("credential", {"credentialType": "api_token", **fields})


@pytest.mark.parametrize(
    ("environ", "source"),
    [
        ({NAME: ""}, "environment variable"),
        ({NAME: " \t"}, "environment variable"),
        ({PARAMETER: ""}, "runtime parameter"),
        ({PARAMETER: "null"}, "runtime parameter"),
        ({PARAMETER: '"  "'}, "runtime parameter"),
        (parameter("credential", None), "runtime parameter"),
        (parameter("string", None), "runtime parameter"),
        (parameter("string", ""), "runtime parameter"),
        (parameter("string", "  "), "runtime parameter"),
        (credential(), "runtime parameter"),
        (credential(apiToken=""), "runtime parameter"),
        (credential(apiToken=" "), "runtime parameter"),
        ({NAME: "", **parameter("credential", None)}, "runtime parameter"),
        ({NAME: "spare", **credential(apiToken=" ")}, "runtime parameter"),
    ],
)
def test_set_but_empty_is_an_error(environ: dict[str, str], source: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({}, environ)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"{source} {NAME}")
    assert str(caught.value).endswith(REMEDY)


@pytest.mark.parametrize(
    ("environ", "token"),
    [
        ({}, None),
        ({NAME: "hush"}, "hush"),
        (parameter("string", "hush"), "hush"),
        (credential(apiToken="hush"), "hush"),
        ({NAME: "hush", **parameter("credential", None)}, "hush"),
        ({NAME: "", **credential(apiToken="hush")}, "hush"),
    ],
    ids=["unset", "variable", "string", "credential", "variable for a declared credential", "credential alone"],
)
def test_the_token_that_holds(environ: dict[str, str], token: str | None) -> None:
    assert resolve({}, environ).settings.access.api_token == token


def test_other_settings_may_be_declared_without_a_value() -> None:
    environ = {"DRUM_SSL_KEYFILE_PASSWORD": "", "MLOPS_RUNTIME_PARAM_DRUM_RATE_LIMIT_STORE": ""}
    assert resolve({}, environ).notices == ()
