from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import SettingsError
from drum_litestar.settings.declaration import declared
from drum_litestar.settings.resolve import Resolution, parameter, resolve
from drum_litestar.settings.server_settings import ServerSettings


def rp(name: str, value: str) -> dict[str, str]:
    return {f"MLOPS_RUNTIME_PARAM_{name}": value}


def json_rp(name: str, kind: str, payload: str) -> dict[str, str]:
    return rp(name, f'{{"type": "{kind}", "payload": {payload}}}')


def read(resolution: Resolution, name: str) -> tuple[Any, str]:
    return next((v.value, v.source) for v in resolution.values if v.setting.option.name == name)


def texts(resolution: Resolution, level: int = logging.WARNING) -> list[str]:
    return [notice.text for notice in resolution.notices if notice.level >= level]


def quiet(environ: dict[str, str], **cli: str) -> ServerSettings:
    """Settings of a configuration that causes no notice."""
    resolution = resolve(cli, environ)
    assert texts(resolution) == []
    return resolution.settings


GEVENT = {"DRUM_GUNICORN_WORKER_CLASS": "gevent"}


def test_defaults_are_those_of_the_groups_and_say_nothing() -> None:
    resolution = resolve({}, {})
    assert resolution.settings == ServerSettings()
    assert resolution.notices == ()
    assert {item.source for item in resolution.values} == {"default"}


def test_every_declaration_is_complete_and_names_are_unique() -> None:
    options = [setting.option for setting in declared(ServerSettings)]
    names = [name for option in options for name in option.names()]
    assert len(names) == len(set(names))
    assert all(
        option.doc and setting.allowed() for setting, option in zip(declared(ServerSettings), options, strict=True)
    )


@pytest.mark.parametrize("setting", declared(ServerSettings), ids=lambda setting: setting.option.name)
def test_every_default_is_within_its_own_range(setting: Any) -> None:
    option, value = setting.option, setting.default
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        assert option.low is None or value >= option.low
        assert option.above is None or value > option.above
        assert option.high is None or value <= option.high
    if setting.choices and value is not None:
        assert value in setting.choices


def test_order_of_sources() -> None:
    environ = {"DRUM_EXECUTOR": "pool"}
    assert read(resolve({}, environ), "DRUM_EXECUTOR") == ("pool", "environment variable DRUM_EXECUTOR")
    environ |= rp("DRUM_EXECUTOR", "inline")
    assert read(resolve({}, environ), "DRUM_EXECUTOR") == ("inline", "runtime parameter DRUM_EXECUTOR")
    assert read(resolve({"DRUM_EXECUTOR": "pool"}, environ), "DRUM_EXECUTOR") == ("pool", "command line --executor")


@pytest.mark.parametrize(
    "environ",
    [
        json_rp("DRUM_CLIENT_REQUEST_TIMEOUT", "numeric", "300"),
        json_rp("DRUM_CLIENT_REQUEST_TIMEOUT", "numeric", '"300"'),
        json_rp("DRUM_CLIENT_REQUEST_TIMEOUT", "string", '"300"'),
        rp("DRUM_CLIENT_REQUEST_TIMEOUT", "300"),
        rp("DRUM_CLIENT_REQUEST_TIMEOUT", '"300"'),
        {"DRUM_CLIENT_REQUEST_TIMEOUT": " 300 "},
    ],
)
def test_spellings_of_a_number(environ: dict[str, str]) -> None:
    assert quiet(environ).timeouts.request_timeout == 300


def test_fractions_of_seconds_are_kept_and_of_counts_cut_off_with_a_warning() -> None:
    assert quiet({"DRUM_CLIENT_REQUEST_TIMEOUT": "60.5"}).timeouts.request_timeout == 60.5
    resolution = resolve({}, rp("CUSTOM_MODEL_WORKERS", "2.7"))
    assert resolution.settings.workers.count == 2
    assert texts(resolution) == ["runtime parameter CUSTOM_MODEL_WORKERS: value '2.7' is cut off to 2"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("No", False)],
)
def test_booleans(text: str, value: bool) -> None:
    assert quiet({"DRUM_JSON_LOGGING": text}).log.json is value
    assert quiet(rp("DRUM_JSON_LOGGING", text)).log.json is value


def test_boolean_payloads() -> None:
    assert quiet(json_rp("DRUM_JSON_LOGGING", "boolean", "true")).log.json is True
    assert quiet(json_rp("DRUM_JSON_LOGGING", "boolean", "false")).log.json is False
    with pytest.raises(SettingsError, match="is not a boolean"):
        resolve({}, {"DRUM_JSON_LOGGING": "maybe"})


def test_null_and_empty_are_not_set() -> None:
    environ = json_rp("CUSTOM_MODEL_WORKERS", "numeric", "null") | {"MAX_WORKERS": "3", "DRUM_CORS_ORIGINS": ""}
    assert quiet(environ).workers.count == 3


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (rp("CUSTOM_MODEL_WORKERS", "500"), "value '500' is out of range (allowed: 1 to 199); using 1 instead"),
        (rp("CUSTOM_MODEL_WORKERS", "x"), "value 'x' is not a number (allowed: 1 to 199); using 1 instead"),
        (
            rp("CUSTOM_MODEL_WORKERS", '{"type": "numeric"}'),
            'value \'{"type": "numeric"}\' cannot be read (allowed: 1 to 199); using 1 instead',
        ),
        (
            rp("DRUM_CLIENT_REQUEST_TIMEOUT", "-1"),
            "value '-1' is out of range (allowed: 0 to 3600 s); using 600 instead",
        ),
        (
            rp("DRUM_CLIENT_REQUEST_TIMEOUT", "inf"),
            "value 'inf' is not a finite number (allowed: 0 to 3600 s); using 600 instead",
        ),
    ],
)
def test_bad_value_of_a_parameter_that_drum_reads_falls_back(environ: dict[str, str], text: str) -> None:
    (name,) = environ
    resolution = resolve({}, environ)
    assert resolution.settings == ServerSettings()
    assert texts(resolution) == [f"runtime parameter {name.removeprefix('MLOPS_RUNTIME_PARAM_')}: {text}"]
    with pytest.raises(SettingsError) as caught:
        resolve({}, environ | {"DRUM_SETTINGS_STRICT": "1"})
    assert caught.value.exit_code == 2
    assert str(caught.value).endswith(text.partition(";")[0])


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (
            {"DRUM_BATCH_MAX_ROWS": "0"},
            "environment variable DRUM_BATCH_MAX_ROWS: value '0' is out of range (allowed: auto, or 1 to 100000)",
        ),
        ({"DRUM_UVICORN_KEEP_ALIVE": "9999"}, "value '9999' is out of range (allowed: 0 to 3600 s)"),
        ({"DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT": "0"}, "value '0' is out of range (allowed: above 0, at most 3600 s)"),
        ({"DRUM_WORKER_DEATH_POLICY": "x"}, "value 'x' is not one of the choices (allowed: restart, exit)"),
        ({"DRUM_MAX_WORKER_MEMORY_MB": "-1"}, "(allowed: at least 0 MB)"),
        ({"ADDRESS": "::1:5"}, "is not an address: '::1:5' has several colons"),
        ({"DRUM_PROBE_ADDRESS": "127.0.0.1:70000"}, "is not an address: '127.0.0.1:70000' has no valid port"),
        ({"DRUM_LAME_DUCK": "-1"}, "value '-1' is out of range (allowed: 0 to 600 s)"),
        ({"DRUM_LAME_DUCK": "10s"}, "value '10s' is not a number (allowed: 0 to 600 s)"),
        ({"DRUM_READY_QUEUE": "0"}, "value '0' is out of range (allowed: above 0, at most 1)"),
        ({"DRUM_READY_QUEUE": "80"}, "value '80' is out of range (allowed: above 0, at most 1)"),
        ({"DRUM_SSL_CERTFILE": "/no/such"}, "is not a file that exists"),
    ],
)
def test_bad_value_of_our_own_is_an_error(environ: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({}, environ)
    assert text in str(caught.value)
    assert caught.value.exit_code == 2


def test_workers_come_from_the_runtime_parameter_first() -> None:
    environ = {"MAX_WORKERS": "3"}
    assert resolve({}, environ).settings.workers.count == 3
    assert resolve({"CUSTOM_MODEL_WORKERS": "4"}, environ).settings.workers.count == 4
    resolution = resolve({"CUSTOM_MODEL_WORKERS": "4"}, environ | rp("CUSTOM_MODEL_WORKERS", "5"))
    assert read(resolution, "CUSTOM_MODEL_WORKERS") == (5, "runtime parameter CUSTOM_MODEL_WORKERS")
    assert texts(resolution) == [
        "command line --max-workers: value '4' is ignored, because runtime parameter CUSTOM_MODEL_WORKERS decides"
    ]


def test_alias() -> None:
    assert quiet({"DRUM_MAX_QUEUE_DEPTH": "7"}).admission.queue_depth == 7
    resolution = resolve({}, {"DRUM_MAX_QUEUE_DEPTH": "7", "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": "8"})
    assert resolution.settings.admission.queue_depth == 8
    assert "DRUM_MAX_QUEUE_DEPTH: value '7' is ignored" in texts(resolution, logging.INFO)[0]


def test_deprecated_name_works_and_says_so() -> None:
    with pytest.warns(DeprecationWarning, match="use DRUM_UVICORN_KEEP_ALIVE"):
        resolution = resolve({}, rp("DRUM_GUNICORN_KEEP_ALIVE", "9"))
    assert resolution.settings.timeouts.keep_alive == 9
    assert texts(resolution) == ["DRUM_GUNICORN_KEEP_ALIVE is deprecated; use DRUM_UVICORN_KEEP_ALIVE"]


def test_new_name_wins_over_a_deprecated_one() -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        resolution = resolve({}, rp("DRUM_GUNICORN_KEEP_ALIVE", "9") | {"DRUM_UVICORN_KEEP_ALIVE": "8"})
    assert resolution.settings.timeouts.keep_alive == 8
    assert "and ignored, because DRUM_UVICORN_KEEP_ALIVE is set too" in texts(resolution)[0]


def test_bad_value_under_a_deprecated_name_falls_back() -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        resolution = resolve({}, {"DRUM_GUNICORN_GRACEFUL_TIMEOUT": "0"})
    assert resolution.settings.timeouts.graceful_timeout == 299
    assert "using 299 instead" in texts(resolution)[1]


def test_first_byte_timeout_is_no_deprecated_name() -> None:
    assert quiet(rp("DRUM_GUNICORN_FIRST_BYTE_TIMEOUT", "3")).timeouts.header_timeout == 3


def test_unknown_parameter_names_the_nearest() -> None:
    resolution = resolve({}, {"DRUM_BATCH_MAXROWS": "3"} | rp("DRUM_RATE_LIMIT_RPN", "3"))
    assert texts(resolution) == [
        "unknown parameter DRUM_BATCH_MAXROWS; did you mean DRUM_BATCH_MAX_ROWS?",
        "unknown parameter DRUM_RATE_LIMIT_RPN; did you mean DRUM_RATE_LIMIT_RPM?",
    ]
    with pytest.raises(SettingsError, match="did you mean DRUM_BATCH_MAX_ROWS"):
        resolve({}, {"DRUM_BATCH_MAXROWS": "3", "DRUM_SETTINGS_STRICT": "true"})


def test_secrets_are_masked_everywhere(tmp_path: Path) -> None:
    environ = json_rp("DRUM_API_TOKEN", "credential", '{"credentialType": "api_token", "apiToken": "hush"}')
    assert quiet(environ).access.api_token == "hush"
    with pytest.raises(SettingsError) as caught:
        resolve({}, json_rp("DRUM_API_TOKEN", "credential", '{"credentialType": "s3", "key": "hush"}'))
    assert "hush" not in str(caught.value)


def test_lists_and_choices_ignore_case_and_spaces() -> None:
    settings = quiet(
        {"DRUM_CORS_ENABLED": "1", "DRUM_CORS_ORIGINS": "https://a, https://b,", "DRUM_SERVER_TYPE": "LITESTAR"}
    )
    assert settings.cors.origins == ("https://a", "https://b")
    assert settings.listen.server_type == "litestar"


def test_unknown_server_type_falls_back_like_drums() -> None:
    resolution = resolve({}, rp("DRUM_SERVER_TYPE", "bogus"))
    assert resolution.settings.listen.server_type is None
    assert "using none instead" in texts(resolution)[0]


def test_slots() -> None:
    assert quiet({"MAX_WORKERS": "3", "DRUM_FASTAPI_EXECUTOR_WORKERS": "2"}).slots(4) == 6
    settings = quiet({"MAX_WORKERS": "3", "DRUM_MAX_CONCURRENT_REQUESTS": "5"})
    assert (settings.slots(1), settings.slots(4)) == (3, 5)


@pytest.mark.parametrize(
    ("environ", "of_models"),
    [
        ({}, {1: 1, 8: 8, 64: 64}),
        (rp("DRUM_GUNICORN_WORKER_CLASS", "sync"), {1: 1, 8: 8}),
        (rp("DRUM_GUNICORN_WORKER_CLASS", "GEVENT"), {1: 5, 8: 8, 64: 64}),
        (json_rp("DRUM_GUNICORN_WORKER_CLASS", "string", '"gevent"'), {1: 5}),
        (GEVENT | json_rp("DRUM_WORKER_CONNECTIONS", "numeric", "20"), {1: 20, 8: 20, 64: 64}),
        (GEVENT | rp("DRUM_WORKER_CONNECTIONS", "1"), {1: 1, 8: 8}),
        (GEVENT | {"MAX_WORKERS": "3", "DRUM_MAX_CONCURRENT_REQUESTS": "7"}, {1: 7}),
    ],
)
def test_slots_by_gunicorns_parameters(environ: dict[str, str], of_models: dict[int, int]) -> None:
    settings = quiet(environ)
    assert {concurrency: settings.slots(concurrency) for concurrency in of_models} == of_models


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        (rp("DRUM_GUNICORN_WORKER_CLASS", "eventlet"), "(allowed: sync, gevent); using sync instead"),
        (GEVENT | rp("DRUM_WORKER_CONNECTIONS", "10001"), "is out of range (allowed: 1 to 10000); using 5 instead"),
        (GEVENT | rp("DRUM_WORKER_CONNECTIONS", "0"), "is out of range (allowed: 1 to 10000); using 5 instead"),
        (GEVENT | {"DRUM_WORKER_CONNECTIONS": "many"}, "is not a number (allowed: 1 to 10000); using 5 instead"),
        (GEVENT | rp("DRUM_WORKER_CONNECTIONS", "10000"), "(10000) is cut off to 256, the most calls at once in one"),
    ],
)
def test_values_of_gunicorns_parameters(environ: dict[str, str], text: str) -> None:
    """DRUM starts with any of them, so this server does."""
    resolution = resolve({}, environ)
    (said,) = texts(resolution)
    assert text in said
    expected = 256 if "256" in text else 5 if "using 5" in text else 1
    assert resolution.settings.slots() == expected


def test_parameter_that_is_no_setting() -> None:
    assert parameter("LLM_ID", {}) is None
    assert parameter("LLM_ID", rp("LLM_ID", "gpt")) == "gpt"
    assert parameter("LLM_ID", json_rp("LLM_ID", "string", '"gpt"')) == "gpt"
    assert parameter("LLM_ID", json_rp("LLM_ID", "string", "null")) is None
    with pytest.raises(SettingsError, match="runtime parameter LLM_ID: Invalid runtime parameter"):
        parameter("LLM_ID", rp("LLM_ID", '{"type": 5}'))


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({}, False),
        ({"DRUM_RELOAD": "true"}, True),
        ({"DRUM_RELOAD": "true", "DRUM_CONSOLE": "false"}, False),
        ({"DRUM_CONSOLE": "true"}, True),
    ],
)
def test_the_console_is_on_where_a_folder_is_reloaded_unless_told_otherwise(
    environ: dict[str, str], shown: bool
) -> None:
    assert resolve({}, environ).settings.has_console is shown
