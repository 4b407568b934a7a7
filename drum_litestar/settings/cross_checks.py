"""Checks across settings: an error for combinations that cannot work, a notice for ones with a surprising effect.

Checks that need more than the values and the file system (a TLS context, another user's rights) are in
:mod:`drum_litestar.launcher.machine_checks`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from drum_litestar.errors import SettingsError
from drum_litestar.settings.groups.edge import TlsSettings
from drum_litestar.settings.groups.serving import MOST_THREADS
from drum_litestar.settings.notices import Notice, info, warning
from drum_litestar.settings.server_settings import ServerSettings
from drum_litestar.settings.urls import check_origins, check_url_prefix

STORE_SCHEMES = ("redis://", "rediss://", "unix://", "valkey://", "valkeys://")


def refuse(settings: ServerSettings) -> None:
    """Raise SettingsError, one line, for values that cannot work together or on this file system."""
    if settings.listen.url_prefix is not None:
        check_url_prefix(settings.listen.url_prefix)
    check_origins(settings.cors.origins)
    if settings.model.name is not None and "/" in settings.model.name:
        raise SettingsError(
            f"DRUM_MODEL_NAME='{settings.model.name}' has a slash, so that no path could name the model"
        )
    _refuse_incomplete_tls(settings.tls)
    _refuse_unwritable_spool(settings.uploads.spool_dir)
    if settings.listen.grpc_address is not None:
        _refuse_tls_without_grpc(settings.tls)
    if settings.workers.python is not None and settings.model.executor == "inline":
        raise SettingsError("DRUM_WORKER_PYTHON needs worker processes, which --executor inline does not have")
    if settings.model.reload and settings.model.executor == "inline":
        raise SettingsError("DRUM_RELOAD needs worker processes, which --executor inline does not have")
    if settings.rate_limit.store is not None and not settings.rate_limit.store.lower().startswith(STORE_SCHEMES):
        raise SettingsError(f"DRUM_RATE_LIMIT_STORE must begin with one of {', '.join(STORE_SCHEMES)}")


def _refuse_unwritable_spool(spool: str | None) -> None:
    if spool is None:
        try:
            tempfile.gettempdir()
        except FileNotFoundError as error:
            raise SettingsError(
                f"no directory for large request bodies is writable: {error.strerror}. Set DRUM_SPOOL_DIR"
            ) from error
    elif not (Path(spool).is_dir() and os.access(spool, os.W_OK | os.X_OK)):
        raise SettingsError(f"DRUM_SPOOL_DIR='{spool}' is not a writable directory")


def _refuse_incomplete_tls(tls: TlsSettings) -> None:
    if tls.certfile and not tls.keyfile:
        raise SettingsError("DRUM_SSL_CERTFILE is set, but DRUM_SSL_KEYFILE is not: a certificate needs its key")
    if tls.keyfile and not tls.certfile:
        raise SettingsError("DRUM_SSL_KEYFILE is set, but DRUM_SSL_CERTFILE is not: a key needs its certificate")
    if tls.certfile and tls.cert_reqs != "none" and not tls.ca_certs:
        raise SettingsError(
            f"DRUM_SSL_CERT_REQS={tls.cert_reqs} needs DRUM_SSL_CA_CERTS, the authorities of the client certificates"
        )


def _refuse_tls_without_grpc(tls: TlsSettings) -> None:
    """gRPC's own TLS takes certificates, and nothing else."""
    for name, given in (
        ("DRUM_SSL_KEYFILE_PASSWORD", tls.keyfile_password is not None),
        ("DRUM_SSL_VERSION=1.3", tls.version == "1.3"),
        ("DRUM_SSL_CIPHERS", tls.ciphers is not None),
    ):
        if tls.certfile and given:
            raise SettingsError(f"{name} cannot be had on the port of DRUM_GRPC_ADDRESS: unset one of them")


def advise(settings: ServerSettings, given: Collection[str]) -> Iterator[Notice]:
    """Notices about combinations. ``given`` has the names of options that a source sets: defaults alone never warn."""
    yield from _advise_times(settings, given)
    yield from _advise_capacity(settings)
    yield from _advise_without_effect(settings, given)


def _advise_times(settings: ServerSettings, given: Collection[str]) -> Iterator[Notice]:
    times, queue_timeout = settings.timeouts, settings.admission.queue_timeout
    request, graceful = times.request_timeout, times.graceful_timeout
    if "DRUM_UVICORN_KEEP_ALIVE" in given and 0 < request < times.keep_alive:
        yield warning(
            f"DRUM_CLIENT_REQUEST_TIMEOUT ({request:g} s) is below DRUM_UVICORN_KEEP_ALIVE "
            f"({times.keep_alive:g} s): idle connections live longer than any request may; did you mix them up?"
        )
    if 0 < request <= queue_timeout:
        yield warning(
            f"DRUM_CLIENT_REQUEST_TIMEOUT ({request:g} s) is not above DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT "
            f"({queue_timeout:g} s): a request that waits that long ends with 504, never with the queue's 503"
        )
    if "DRUM_UVICORN_GRACEFUL_TIMEOUT" in given and (request == 0 or graceful < request):
        limit = "none" if request == 0 else f"{request:g} s"
        yield warning(
            f"DRUM_UVICORN_GRACEFUL_TIMEOUT ({graceful:g} s) is below DRUM_CLIENT_REQUEST_TIMEOUT ({limit}): "
            "a shutdown cuts requests that take longer"
        )
    for name, value in (
        ("DRUM_UVICORN_HEADER_TIMEOUT", times.header_timeout),
        ("DRUM_UVICORN_BODY_TIMEOUT", times.body_timeout),
    ):
        if value == 0:
            yield warning(f"{name}=0: a client that sends nothing holds its connection for ever")


def _advise_capacity(settings: ServerSettings) -> Iterator[Notice]:
    workers, admission, limit = settings.workers, settings.admission, settings.connections.max_connections
    if admission.max_concurrent is not None and admission.max_concurrent < workers.count:
        yield warning(
            f"DRUM_MAX_CONCURRENT_REQUESTS ({admission.max_concurrent}) is below the number of workers "
            f"({workers.count}): some workers will always be idle"
        )
    if limit is not None and limit <= settings.slots():
        yield warning(
            f"DRUM_UVICORN_LIMIT_CONCURRENCY ({limit}) leaves no connection free beside {settings.slots()} busy "
            "slots: probes may be refused under load"
        )
    if (admission.batch_max_rows or 1) > 1 and settings.model.shortcuts:
        yield info(
            "micro-batching merges structured CSV calls only; sparse (Matrix Market) and all other calls run singly"
        )
    uploads = settings.uploads
    if uploads.spool_threshold >= uploads.max_upload_size:
        yield info(
            "DRUM_SPOOL_THRESHOLD is not below DRUM_FASTAPI_MAX_UPLOAD_SIZE: bodies stay in memory while "
            "DRUM_QUEUE_MEMORY lasts"
        )
    if 0 < workers.max_requests < workers.max_requests_jitter:
        yield warning(
            f"DRUM_UVICORN_MAX_REQUESTS_JITTER ({workers.max_requests_jitter}) is above DRUM_UVICORN_MAX_REQUESTS "
            f"({workers.max_requests}): the jitter decides when workers are replaced"
        )
    if workers.threads is None and workers.worker_class == "gevent" and workers.connections > MOST_THREADS:
        yield warning(
            f"DRUM_WORKER_CONNECTIONS ({workers.connections}) is cut off to {MOST_THREADS}, the most calls at once in "
            "one worker"
        )
    if settings.model.executor == "inline" and workers.count > 1:
        yield warning(f"--executor inline runs one model in the server's process: {workers.count} workers are ignored")


def _advise_without_effect(settings: ServerSettings, given: Collection[str]) -> Iterator[Notice]:
    def unused(names: tuple[str, ...], switch: str) -> Iterator[Notice]:
        for name in names:
            if name in given:
                yield warning(f"{name} has no effect: {switch}")

    if not settings.rate_limit.enabled:
        names = ("DRUM_RATE_LIMIT_RPM", "DRUM_RATE_LIMIT_BURST", "DRUM_RATE_LIMIT_KEY_HEADER", "DRUM_RATE_LIMIT_STORE")
        yield from unused(names, "DRUM_RATE_LIMIT_ENABLED is not true")
    if not settings.cors.enabled:
        yield from unused(("DRUM_CORS_ORIGINS",), "DRUM_CORS_ENABLED is not true")
    if settings.admission.batch_max_rows is None:
        yield from unused(
            ("DRUM_BATCH_MAX_WAIT_MS",), "DRUM_BATCH_MAX_ROWS is auto, which batches only calls that wait anyway"
        )
    elif settings.admission.batch_max_rows == 1:
        yield from unused(("DRUM_BATCH_MAX_WAIT_MS",), "DRUM_BATCH_MAX_ROWS is 1, so batching is off")
    elif not settings.model.shortcuts:
        yield from unused(
            ("DRUM_BATCH_MAX_ROWS", "DRUM_BATCH_MAX_WAIT_MS"), "DRUM_SHORTCUTS is false: calls are not batched"
        )
    if settings.admission.queue_depth == 0:
        yield from unused(("DRUM_READY_QUEUE",), "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH is 0, so there is no queue")
    if settings.workers.worker_class == "sync":
        yield from unused(("DRUM_WORKER_CONNECTIONS",), "DRUM_GUNICORN_WORKER_CLASS is not gevent")
    elif settings.workers.threads is not None:
        gunicorns = ("DRUM_GUNICORN_WORKER_CLASS", "DRUM_WORKER_CONNECTIONS")
        yield from unused(gunicorns, "DRUM_FASTAPI_EXECUTOR_WORKERS is set")
    if settings.workers.max_requests == 0:
        yield from unused(("DRUM_UVICORN_MAX_REQUESTS_JITTER",), "DRUM_UVICORN_MAX_REQUESTS is 0")
    if not settings.tls.certfile:
        names = ("DRUM_SSL_KEYFILE_PASSWORD", "DRUM_SSL_VERSION", "DRUM_SSL_CERT_REQS", "DRUM_SSL_CA_CERTS")
        yield from unused((*names, "DRUM_SSL_CIPHERS"), "DRUM_SSL_CERTFILE is not set")
    if settings.listen.server_type in ("gunicorn", "werkzeug", "flask"):
        yield info(f"DRUM_SERVER_TYPE={settings.listen.server_type} is for 'drum server'; this is drum-litestar")
