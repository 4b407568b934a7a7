from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from drum_litestar.errors import SettingsError
from drum_litestar.settings.resolve import resolve


@pytest.mark.parametrize(
    ("environ", "level", "text"),
    [
        (
            {"DRUM_CLIENT_REQUEST_TIMEOUT": "40", "DRUM_UVICORN_KEEP_ALIVE": "50"},
            logging.WARNING,
            "DRUM_CLIENT_REQUEST_TIMEOUT (40 s) is below DRUM_UVICORN_KEEP_ALIVE (50 s)",
        ),
        ({"DRUM_CLIENT_REQUEST_TIMEOUT": "30"}, logging.WARNING, "never with the queue's 503"),
        ({"DRUM_UVICORN_GRACEFUL_TIMEOUT": "30"}, logging.WARNING, "a shutdown cuts requests that take longer"),
        ({"DRUM_UVICORN_HEADER_TIMEOUT": "0"}, logging.WARNING, "DRUM_UVICORN_HEADER_TIMEOUT=0"),
        ({"DRUM_UVICORN_BODY_TIMEOUT": "0"}, logging.WARNING, "DRUM_UVICORN_BODY_TIMEOUT=0"),
        (
            {"MAX_WORKERS": "4", "DRUM_MAX_CONCURRENT_REQUESTS": "2"},
            logging.WARNING,
            "DRUM_MAX_CONCURRENT_REQUESTS (2) is below the number of workers (4)",
        ),
        ({"DRUM_UVICORN_LIMIT_CONCURRENCY": "1"}, logging.WARNING, "leaves no connection free"),
        (
            {"DRUM_BATCH_MAX_WAIT_MS": "5"},
            logging.WARNING,
            "DRUM_BATCH_MAX_WAIT_MS has no effect: DRUM_BATCH_MAX_ROWS is auto, which batches only calls that wait",
        ),
        ({"DRUM_BATCH_MAX_ROWS": "100"}, logging.INFO, "sparse (Matrix Market) and all other calls run singly"),
        (
            {"DRUM_BATCH_MAX_ROWS": "100", "DRUM_SHORTCUTS": "false"},
            logging.WARNING,
            "DRUM_BATCH_MAX_ROWS has no effect: DRUM_SHORTCUTS is false",
        ),
        ({"DRUM_SPOOL_THRESHOLD": "104857600"}, logging.INFO, "bodies stay in memory"),
        ({"DRUM_UVICORN_MAX_REQUESTS": "10"}, logging.WARNING, "the jitter decides"),
        ({"DRUM_EXECUTOR": "inline", "MAX_WORKERS": "2"}, logging.WARNING, "2 workers are ignored"),
        ({"DRUM_RATE_LIMIT_RPM": "5"}, logging.WARNING, "DRUM_RATE_LIMIT_RPM has no effect"),
        ({"DRUM_CORS_ORIGINS": "https://a"}, logging.WARNING, "DRUM_CORS_ORIGINS has no effect"),
        (
            {"DRUM_BATCH_MAX_ROWS": "1", "DRUM_BATCH_MAX_WAIT_MS": "5"},
            logging.WARNING,
            "DRUM_BATCH_MAX_WAIT_MS has no effect: DRUM_BATCH_MAX_ROWS is 1",
        ),
        (
            {"DRUM_UVICORN_MAX_REQUESTS": "0", "DRUM_UVICORN_MAX_REQUESTS_JITTER": "5"},
            logging.WARNING,
            "DRUM_UVICORN_MAX_REQUESTS_JITTER has no effect",
        ),
        ({"DRUM_SSL_CIPHERS": "ECDHE"}, logging.WARNING, "DRUM_SSL_CIPHERS has no effect"),
        (
            {"DRUM_WORKER_CONNECTIONS": "9"},
            logging.WARNING,
            "DRUM_WORKER_CONNECTIONS has no effect: DRUM_GUNICORN_WORKER_CLASS is not gevent",
        ),
        (
            {"DRUM_GUNICORN_WORKER_CLASS": "gevent", "DRUM_FASTAPI_EXECUTOR_WORKERS": "2"},
            logging.WARNING,
            "DRUM_GUNICORN_WORKER_CLASS has no effect: DRUM_FASTAPI_EXECUTOR_WORKERS is set",
        ),
        ({"DRUM_SERVER_TYPE": "gunicorn"}, logging.INFO, "DRUM_SERVER_TYPE=gunicorn is for 'drum server'"),
    ],
)
def test_one_notice_for_what_surprises(environ: dict[str, str], level: int, text: str) -> None:
    (notice,) = resolve({}, environ).notices
    assert text in notice.text
    assert notice.level == level


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("DRUM_SSL_CERTFILE", "a file"), ("DRUM_SSL_CA_CERTS", "a file"), ("DRUM_SPOOL_DIR", "a directory")],
)
def test_paths_are_no_mere_text(name: str, allowed: str) -> None:
    setting = next(item.setting for item in resolve({}, {}).values if item.setting.option.name == name)
    assert setting.allowed() == allowed


def test_a_file_that_is_missing() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve({}, {"DRUM_SSL_CERTFILE": "/no"})
    assert str(caught.value) == (
        "environment variable DRUM_SSL_CERTFILE: value '/no' is not a file that exists (allowed: a file)"
    )


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"URL_PREFIX": "pfx"}, "URL_PREFIX='pfx' must start with a slash"),
        ({"DRUM_SPOOL_DIR": "/no/such"}, "DRUM_SPOOL_DIR='/no/such' is not a writable directory"),
    ],
)
def test_refused(environ: dict[str, str], text: str) -> None:
    with pytest.raises(SettingsError, match=text) as caught:
        resolve({}, environ)
    assert caught.value.exit_code == 2


def test_no_directory_is_writable() -> None:
    """As in a container without a volume, where the root file system is read-only."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from drum_litestar.settings.resolve import resolve; resolve({}, {})"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False)
    assert "no directory for large request bodies is writable: No usable temporary directory" in done.stderr
    assert "Set DRUM_SPOOL_DIR" in done.stderr


def test_certificate_and_key_need_each_other(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    with pytest.raises(SettingsError, match="a certificate needs its key"):
        resolve({}, {"DRUM_SSL_CERTFILE": str(file)})
    with pytest.raises(SettingsError, match="a key needs its certificate"):
        resolve({}, {"DRUM_SSL_KEYFILE": str(file)})
    both = {"DRUM_SSL_CERTFILE": str(file), "DRUM_SSL_KEYFILE": str(file)}
    with pytest.raises(SettingsError, match="needs DRUM_SSL_CA_CERTS"):
        resolve({}, both | {"DRUM_SSL_CERT_REQS": "required"})


@pytest.mark.parametrize("unknown", ["DRUM_SSL_VERSION=1.3", "DRUM_SSL_CIPHERS=HIGH", "DRUM_SSL_KEYFILE_PASSWORD=pw"])
def test_tls_that_grpc_does_not_know(unknown: str, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    name, _, value = unknown.partition("=")
    environ = {"DRUM_SSL_CERTFILE": str(file), "DRUM_SSL_KEYFILE": str(file), name: value}
    resolve({}, environ)
    with pytest.raises(SettingsError, match=rf"^{name}.* cannot be had on the port of DRUM_GRPC_ADDRESS"):
        resolve({}, environ | {"DRUM_GRPC_ADDRESS": "127.0.0.1:8081"})
