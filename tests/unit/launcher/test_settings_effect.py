"""No setting is silently ignored: a change of any setting changes an argument of some part of the server."""

from __future__ import annotations

import enum
import getpass
import shutil
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drum_litestar.errors import StartupError
from drum_litestar.launcher import bootstrap
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.settings.declaration import declared
from drum_litestar.settings.server_settings import ServerSettings
from support.plans import build_plan
from support.servers.certificates import make_pair

TLS = {"DRUM_SSL_CERTFILE": "{folder}/server.pem", "DRUM_SSL_KEYFILE": "{folder}/server.key"}
LIMITED = {"DRUM_RATE_LIMIT_ENABLED": "true"}
BATCHED = {"DRUM_BATCH_MAX_ROWS": "10"}

CHANGED: dict[str, tuple[str, dict[str, str]]] = {
    "ADDRESS": ("127.0.0.1:7999", {}),
    "DRUM_PROBE_ADDRESS": ("127.0.0.1:0", {}),
    "DRUM_GRPC_ADDRESS": ("127.0.0.1:0", {}),
    "URL_PREFIX": ("/model", {}),
    "DRUM_INFO_SERVER": ("flask", {}),
    "DRUM_FASTAPI_ENABLE_DOCS": ("true", {}),
    "DRUM_CONSOLE": ("true", {}),
    "FORWARDED_ALLOW_IPS": ("10.1.2.3", {}),
    "DRUM_PREDICTOR": ("native", {}),
    "DRUM_EXECUTOR": ("inline", {}),
    "DRUM_MODEL_NAME": ("another", {}),
    "DRUM_RELOAD": ("true", {}),
    "DRUM_SINGLE_OUTPUT_IS": ("positive", {}),
    "DRUM_CLIENT_ERRORS_4XX": ("true", {}),
    "DRUM_MODERATIONS_OPTIONAL": ("true", {}),
    "DRUM_SHORTCUTS": ("false", {}),
    "CUSTOM_MODEL_WORKERS": ("3", {}),
    "DRUM_FASTAPI_EXECUTOR_WORKERS": ("7", {}),
    "DRUM_GUNICORN_WORKER_CLASS": ("gevent", {}),
    "DRUM_WORKER_CONNECTIONS": ("7", {"DRUM_GUNICORN_WORKER_CLASS": "gevent"}),
    "DRUM_UVICORN_MAX_REQUESTS": ("77", {}),
    "DRUM_UVICORN_MAX_REQUESTS_JITTER": ("7", {}),
    "DRUM_MAX_WORKER_MEMORY_MB": ("777", {}),
    "DRUM_WORKER_DEATH_POLICY": ("exit", {}),
    "DRUM_WORKER_PYTHON": (sys.executable, {}),
    "DRUM_WORKER_USER": (getpass.getuser(), {}),
    "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": ("77", {}),
    "DRUM_QUEUE_MEMORY": ("7MB", {}),
    "DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT": ("7", {}),
    "DRUM_READY_QUEUE": ("0.7", {}),
    "DRUM_MAX_CONCURRENT_REQUESTS": ("7", {}),
    "DRUM_BATCH_MAX_ROWS": ("7", {}),
    "DRUM_BATCH_MAX_WAIT_MS": ("7", BATCHED),
    "DRUM_CLIENT_REQUEST_TIMEOUT": ("77", {}),
    "DRUM_UVICORN_KEEP_ALIVE": ("7", {}),
    "DRUM_UVICORN_HEADER_TIMEOUT": ("7", {}),
    "DRUM_UVICORN_BODY_TIMEOUT": ("7", {}),
    "DRUM_STREAM_IDLE_TIMEOUT": ("7", {}),
    "DRUM_UVICORN_GRACEFUL_TIMEOUT": ("7", {}),
    "DRUM_LAME_DUCK": ("7", {}),
    "DRUM_UVICORN_LIMIT_CONCURRENCY": ("77", {}),
    "DRUM_WEBSERVER_BACKLOG": ("77", {}),
    "DRUM_MAX_REQUEST_HEAD_SIZE": ("7777", {}),
    "DRUM_FASTAPI_MAX_UPLOAD_SIZE": ("7777", {}),
    "DRUM_SPOOL_THRESHOLD": ("77", {}),
    "DRUM_SPOOL_DIR": ("{folder}", {}),
    "DRUM_FORM_MAX_PARTS": ("7", {}),
    "DRUM_FORM_MAX_FIELD_SIZE": ("77", {}),
    "DRUM_RATE_LIMIT_ENABLED": ("true", {}),
    "DRUM_RATE_LIMIT_RPM": ("77", LIMITED),
    "DRUM_RATE_LIMIT_BURST": ("7", LIMITED),
    "DRUM_RATE_LIMIT_KEY_HEADER": ("X-Team", LIMITED),
    "DRUM_RATE_LIMIT_STORE": ("redis://127.0.0.1:1/0", LIMITED),
    "DRUM_CORS_ENABLED": ("true", {}),
    "DRUM_CORS_ORIGINS": ("https://a.example", {"DRUM_CORS_ENABLED": "true"}),
    "DRUM_COMPRESS_ABOVE": ("1MB", {}),
    "DRUM_SSL_CERTFILE": (TLS["DRUM_SSL_CERTFILE"], {"DRUM_SSL_KEYFILE": TLS["DRUM_SSL_KEYFILE"]}),
    "DRUM_SSL_KEYFILE": (TLS["DRUM_SSL_KEYFILE"], {"DRUM_SSL_CERTFILE": TLS["DRUM_SSL_CERTFILE"]}),
    "DRUM_SSL_KEYFILE_PASSWORD": (
        "pw",
        {"DRUM_SSL_CERTFILE": "{folder}/locked.pem", "DRUM_SSL_KEYFILE": "{folder}/locked.key"},
    ),
    "DRUM_SSL_VERSION": ("1.3", TLS),
    "DRUM_SSL_CERT_REQS": ("required", {**TLS, "DRUM_SSL_CA_CERTS": "{folder}/server.pem"}),
    "DRUM_SSL_CA_CERTS": ("{folder}/server.pem", TLS),
    "DRUM_SSL_CIPHERS": ("ECDHE+AES256", TLS),
    "DRUM_API_TOKEN": ("t0ken", {}),
    "DRUM_UVICORN_LOG_LEVEL": ("debug", {}),
    "DRUM_JSON_LOGGING": ("true", {}),
    "DRUM_ACCESS_LOG_PROBES": ("false", {}),
    "DRUM_TRACE_STEPS": ("true", {}),
    "DRUM_UVICORN_LOOP": ("asyncio", {}),
}
"""For each setting a value other than its default, and other settings that it depends on."""

COMPOSED: dict[str, Any] = {}
"""What the parts get by the settings that others depend on, so that it is found once."""

ELSEWHERE = {"DRUM_SERVER_TYPE"}
"""Read by the hook of ``drum server``; the server only logs a notice about it."""


def test_the_table_is_complete() -> None:
    assert {setting.option.name for setting in declared(ServerSettings)} == CHANGED.keys() | ELSEWHERE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("settings")
    (folder / "custom.py").write_text("def score(data, model, **kwargs):\n    return data\n")
    if shutil.which("openssl"):
        make_pair(folder, "server")
        make_pair(folder, "locked", "pw")
    return folder


@pytest.mark.parametrize("name", CHANGED)
def test_a_setting_reaches_a_part(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value, needs = CHANGED[name]
    if any("SSL" in each for each in (name, *needs)) and not shutil.which("openssl"):
        pytest.skip("needs the openssl command")
    key = repr(sorted(needs.items()))
    if key not in COMPOSED:
        COMPOSED[key] = composed(folder, needs, monkeypatch)
    before = COMPOSED[key]
    after = composed(folder, {**needs, name: value}, monkeypatch)
    assert before != after, f"{name} changes nothing"


def test_nothing_but_settings_changes_what_the_parts_get(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards the test above: without a change there is no difference."""
    assert composed(folder, {}, monkeypatch) == composed(folder, {}, monkeypatch)


def composed(folder: Path, environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The arguments of each part that the composition root makes, or the error that it raises."""
    environ = {name: value.format(folder=folder) for name, value in environ.items()}
    command = ["server", "-cd", str(folder), "--target-type", "regression"]
    command += ["--address", environ.pop("ADDRESS", "127.0.0.1:0")]
    given: list[Any] = []

    def spy(name: str, result: Any = None) -> None:
        real = getattr(bootstrap, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            outcome = result if result is not None else real(*args, **kwargs)
            made = describe(outcome) if name in ("make_executor", "make_protocol") else None
            seen = [] if name == "run_server" else describe(args)  # the application: its options were seen before
            given.append((name, seen, describe(kwargs), made))
            return outcome

        monkeypatch.setattr(bootstrap, name, call)

    with monkeypatch.context() as monkeypatch:
        spy("bind_sockets", [])
        spy("configure_logging", Logs())
        for name in ("make_executor", "make_protocol", "build_stack", "extended_app"):
            spy(name)
        spy("run_server", 1)
        try:
            bootstrap.serve(build_plan(command, environ))
        except StartupError as error:
            return str(error)
    return given


class Logs:
    """Replaces the set-up of logging, which is for the whole process."""

    show_status = None

    def forward(self, worker: int, stream: str, line: str) -> None: ...

    def close(self) -> None: ...


def describe(value: Any, depth: int = 8) -> Any:
    """``value`` in a comparable form, with the settings copied into it and without object identities."""
    if value is None or isinstance(value, (str, bytes, int, float)):
        return value.value if isinstance(value, enum.Enum) else value
    if depth == 0 or isinstance(value, (LaunchPlan, ServerSettings)):  # the settings themselves prove nothing
        return type(value).__name__
    if isinstance(value, ssl.SSLContext):
        ciphers = [cipher["name"] for cipher in value.get_ciphers()]
        return (value.minimum_version, value.verify_mode, ciphers, value.cert_store_stats())
    if isinstance(value, dict):
        factory = value.get("ssl_context_factory")
        described = {str(key): describe(item, depth - 1) for key, item in value.items()}
        return {**described, "context": describe(factory(None, None))} if factory else described
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [describe(item, depth - 1) for item in value]
        return items if isinstance(value, (list, tuple)) else sorted(map(repr, items))
    if isinstance(value, type):
        return {name: describe(item, 1) for name, item in vars(value).items() if not name.startswith("__")}
    if isinstance(value, msgspec.Struct):
        return {name: describe(getattr(value, name), depth - 1) for name in value.__struct_fields__}
    if type(value).__module__.startswith("drum_litestar"):
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        fields = {**{name: getattr(value, name, None) for name in slots}, **getattr(value, "__dict__", {})}
        return {"type": type(value).__name__, **{name: describe(item, depth - 1) for name, item in fields.items()}}
    return type(value).__name__
