"""Masking: what counts as secret, the forms in which it is found, and text that stays unchanged."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator

import pytest

from drum_litestar.cli.environment_arguments import FLAGS, TEXTS
from drum_litestar.cli.main import COMMANDS
from drum_litestar.cli.server_arguments import add_server_arguments
from drum_litestar.settings import masking
from drum_litestar.settings.declaration import declared
from drum_litestar.settings.masking import MASK, known_secrets, mask_arguments, mask_structure, mask_values, masked
from drum_litestar.settings.server_settings import ServerSettings
from support.parsers import all_options

SUSPICIOUS = re.compile(r"token|passw|secret|credential|key", re.IGNORECASE)

REVIEWED = {
    "--user-secrets-mount-path": "a folder",
    "--user-secrets-prefix": "how the names of variables begin",
    "USER_SECRETS_MOUNT_PATH": "a folder",
    "USER_SECRETS_PREFIX": "how the names of variables begin",
    "--keep-secrets": "a switch of compare",
    "DRUM_RATE_LIMIT_KEY_HEADER": "a header's name",
    "DRUM_SSL_KEYFILE": "a file",
}  # fmt: skip
"""Names that resemble a secret's and are not secret."""


def names() -> Iterator[tuple[str, bool]]:
    """Every option of every command, every variable that replaces one, every setting; and whether it is secret."""
    for option in sorted({word for command in COMMANDS for word in all_options(command)}):
        yield option, masking.is_secret_option(option)
    for variable in sorted({name for _, variables in TEXTS for name in variables} | {name for _, name in FLAGS}):
        yield variable, variable in masking.SECRET_VARIABLES or masking.suggests_secret(variable)
    for setting in declared(ServerSettings):
        for name in setting.option.names():
            yield name, setting.option.secret


@pytest.mark.parametrize(("name", "secret"), list(names()))
def test_every_name_that_sounds_like_a_secret_is_one_or_was_reviewed(name: str, secret: bool) -> None:
    assert not (SUSPICIOUS.search(name) and not secret and name not in REVIEWED), (
        f"{name}: declare it in settings/masking.py, or with secret=True, or say here why it is no secret"
    )
    assert not (secret and name in REVIEWED)


def test_the_reviewed_names_exist() -> None:
    assert set(REVIEWED) <= {name for name, _ in names()}


def test_the_walk_meets_what_is_known() -> None:
    """Guards against an empty list, with which the test above would pass."""
    secret = {name for name, secret in names() if secret}
    assert {
        "--api-token",
        "API_TOKEN",
        "DRUM_API_TOKEN",
        "DRUM_SSL_KEYFILE_PASSWORD",
        "DRUM_RATE_LIMIT_STORE",
    } <= secret


@pytest.mark.parametrize("setting", [item for item in declared(ServerSettings) if item.option.secret], ids=str)
def test_values_of_secret_settings_are_known(setting: object) -> None:
    option = setting.option  # type: ignore[attr-defined]
    value = "redis://:hush-hush@localhost" if option.name == "DRUM_RATE_LIMIT_STORE" else "hush-hush"
    parameter = json.dumps({"type": "string", "payload": value})
    for environ in ({option.name: value}, {f"MLOPS_RUNTIME_PARAM_{option.name}": parameter}):
        assert "hush-hush" in known_secrets((), environ)


def accepted(word: str) -> bool:
    """Whether the server's command line accepts ``word`` as ``--api-token``."""
    parser = argparse.ArgumentParser()
    add_server_arguments(parser, required=False)
    try:
        return bool(parser.parse_known_args([word, "value"])[0].api_token == "value")
    except SystemExit:  # ambiguous
        return False


def test_every_abbreviation_that_the_parser_takes_is_masked() -> None:
    prefixes = [word for word in ("--api-token"[:end] for end in range(3, 12)) if accepted(word)]
    assert prefixes[0] == "--ap"
    assert prefixes[-1] == "--api-token"
    for prefix in prefixes:
        assert mask_arguments(["server", prefix, "a", "--address", "x"]) == ["server", prefix, MASK, "--address", "x"]
        assert mask_arguments([f"{prefix}=a", "b"]) == [f"{prefix}={MASK}", "b"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--api-token", "--odd"], ["--api-token", MASK]),
        (["--api-token="], [f"--api-token={MASK}"]),
        (["--api-token"], ["--api-token"]),
        (["--api-tokn", "x"], ["--api-tokn", MASK]),
        (["vllm", "--api-key", "k", "--max-tokens", "5"], ["vllm", "--api-key", MASK, "--max-tokens", "5"]),
        (["--use-auth-token", "--next", "v"], ["--use-auth-token", "--next", "v"]),
        (["env", "HF_TOKEN=k", "A=b"], ["env", f"HF_TOKEN={MASK}", "A=b"]),
        (["curl", "-H", "Authorization: Bearer k"], ["curl", "-H", f"Authorization: {MASK}"]),
        (["--header", "X-API-Key:k", "--header", "A: b"], ["--header", f"X-API-Key:{MASK}", "--header", "A: b"]),
        (["--webserver", "https://me:k@host/p"], ["--webserver", f"https://{MASK}@host/p"]),
        (["--webserver=https://me@host"], [f"--webserver=https://{MASK}@host"]),
        (["--monitor-settings", "a=1;sasl_password=k;b=2"], ["--monitor-settings", f"a=1;sasl_password={MASK};b=2"]),
        (["--user-secrets-prefix", "PFX", "-cd", "a"], ["--user-secrets-prefix", "PFX", "-cd", "a"]),
        (["-c", "import a; token = 'b'", "worker-1"], ["-c", "import a; token = 'b'", "worker-1"]),
    ],
)
def test_command_lines(words: list[str], shown: list[str]) -> None:
    assert mask_arguments(words) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot reach redis://:pa@ss@host:6379/0, sorry", f"cannot reach redis://{MASK}@host:6379/0, sorry"),
        ("redis://host?password=x&db=1", f"redis://host?password={MASK}&db=1"),
        ('"GET /p?access_token=x&a=b HTTP/1.1"', f'"GET /p?access_token={MASK}&a=b HTTP/1.1"'),
        ('{"message":"\\"/p?token=x\\""}', f'{{"message":"\\"/p?token={MASK}\\""}}'),
        ("mail me@host, or see http://host/a@b", "mail me@host, or see http://host/a@b"),
        ("?max_tokens=5&key=primary", "?max_tokens=5&key=primary"),
    ],
)
def test_texts_by_structure(text: str, shown: str) -> None:
    assert mask_structure(text) == shown


def credential(**fields: object) -> str:
    return json.dumps({"type": "credential", "payload": {"credentialType": "x", **fields}})


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--api-token", "hush-hush"], {}),
        (["--api-t=hush-hush"], {}),
        (["--header", "Authorization: Bearer hush-hush"], {}),
        (["--webserver", "http://me:hush-hush@host"], {}),
        (["--user-secrets-prefix", "PFX"], {"PFX_A": '{"credential_type": "basic", "password": "hush-hush"}'}),
        (["--user-secrets-p=PFX"], {"PFX_A": '{"credential_type": "gcp", "gcp_key": {"private_key": "hush-hush"}}'}),
        ([], {"USER_SECRETS_PREFIX": "PFX", "PFX_A": '{"token": "hush-hush"}'}),
        ([], {"MLOPS_REPOSITORY_SECRET_1": '{"awsSecretAccessKey": "hush-hush"}'}),
        ([], {"MLOPS_REPOSITORY_SECRET_1": "hush-hush"}),
        ([], {"API_TOKEN": " hush-hush\n"}),
        ([], {"DATAROBOT_API_TOKEN": "hush-hush"}),
        ([], {"OPENAI_API_KEY": "hush-hush"}),
        ([], {"DB_PWD": "hush-hush"}),
        ([], {"PGPASSWORD": "hush-hush"}),
        ([], {"MY_SECRET": '{"inner": ["hush-hush"]}'}),
        ([], {"DATABASE_URL": "postgres://me:hush-hush@host/db"}),
        ([], {"MONITOR_SETTINGS": "spooler_type=KAFKA;sasl_password=hush-hush"}),
        ([], {"OTEL_EXPORTER_OTLP_HEADERS": "a=b,authorization=Bearer%20hush-hush"}),
        ([], {"OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-team=hush-hush"}),
        ([], {"MLOPS_RUNTIME_PARAM_ANY": credential(apiToken="hush-hush")}),
        ([], {"MLOPS_RUNTIME_PARAM_ANY": credential(gcpKey={"private_key": "hush-hush"})}),
        ([], {"MLOPS_RUNTIME_PARAM_MY_TOKEN": '{"type": "string", "payload": "hush-hush"}'}),
        ([], {"MLOPS_RUNTIME_PARAM_MY_TOKEN": "hush-hush"}),
        ([], {"MLOPS_RUNTIME_PARAM_MY_TOKEN": '"hush-hush"'}),
        ([], {"MLOPS_RUNTIME_PARAM_MY_TOKEN": '{"tpye": "string", "apiToken": "hush-hush"}'}),
    ],
)
def test_known_values(arguments: list[str], environ: dict[str, str]) -> None:
    values = known_secrets(arguments, environ)
    assert "hush-hush" in values
    text = mask_values("before hush-hush after", values)
    assert text == f"before {MASK} after"


@pytest.mark.parametrize(
    "environ",
    [
        {"API_TOKEN": ""},
        {"API_TOKEN": "a"},
        {"API_TOKEN": "short"},
        {"MLOPS_RUNTIME_PARAM_X": credential(user="analytics", name="production", region="us-east-1")},
        {"MLOPS_RUNTIME_PARAM_X_TOKEN": '{"type": "credential", "payload": null}'},
        {"MLOPS_RUNTIME_PARAM_X": '{"type": "string", "payload": "regression"}'},
        {"TARGET_NAME": "hush-hush", "HOME": "/home/someone", "SSH_AUTH_SOCK": "/tmp/ssh/agent"},
        {"URL": "https://someone@host/path", "PWD": "/home/someone", "OLDPWD": "/home/someone"},
    ],
)
def test_what_is_no_secret_or_too_short_is_left_alone(environ: dict[str, str]) -> None:
    assert known_secrets(["server", "--api-token", "a"], environ) == ()


def test_the_forms_in_which_a_value_is_printed() -> None:
    value = 'pass"word\\with é'
    values = known_secrets((), {"MY_PASSWORD": value})
    for text in (
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        repr(value),
        "pass%22word%5Cwith%20%C3%A9",
    ):
        assert "word" not in mask_values(f"x {text} y", values)


def test_the_lines_of_a_private_key() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "-----END PRIVATE KEY-----"]
    values = known_secrets((), {"MLOPS_RUNTIME_PARAM_GCP": credential(gcpKey={"private_key": "\n".join(lines)})})
    assert mask_values(f"loaded {lines[1]}", values) == f"loaded {MASK}"
    assert mask_values("\\n".join(lines), values) == MASK


def test_a_secret_within_another_does_not_hide_its_rest() -> None:
    values = known_secrets((), {"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghij"})
    assert mask_values("abcdefghij abcdef", values) == f"{MASK} {MASK}"


def test_the_process_knows_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_process_values", ())
    assert masked("the value hush-hush") == "the value hush-hush"
    masking.set_secrets(["--api-token", "hush-hush"], {})
    assert masked("the value hush-hush at http://a:b@c") == f"the value {MASK} at http://{MASK}@c"
