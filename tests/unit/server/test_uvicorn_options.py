from __future__ import annotations

import inspect
import logging

import pytest
from uvicorn import Config

from drum_litestar.server.uvicorn_options import uvicorn_options
from drum_litestar.settings.resolve import resolve
from drum_litestar.settings.server_settings import ServerSettings


async def app(scope: object, receive: object, send: object) -> None: ...


def test_every_argument_is_one_of_uvicorns() -> None:
    arguments = uvicorn_options(ServerSettings())
    assert arguments.keys() <= inspect.signature(Config).parameters.keys()


def test_values_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "7")
    level = logging.getLogger("uvicorn.error").level
    environ = {
        "ADDRESS": "[::1]:7158",
        "DRUM_UVICORN_KEEP_ALIVE": "2.5",
        "DRUM_WEBSERVER_BACKLOG": "99",
        "DRUM_UVICORN_LIMIT_CONCURRENCY": "50",
        "DRUM_UVICORN_LOG_LEVEL": "WARN",
        "DRUM_UVICORN_LOOP": "asyncio",
        "FORWARDED_ALLOW_IPS": "10.0.0.1",
    }
    try:
        config = Config(app, **uvicorn_options(resolve({}, environ).settings))
        config.load()
        assert logging.getLogger("uvicorn.error").level == logging.WARNING
    finally:
        logging.getLogger("uvicorn.error").setLevel(level)
    assert (config.host, config.port, config.backlog) == ("::1", 7158, 99)
    assert config.limit_concurrency is None  # our protocol counts, so that probes may pass
    assert (config.timeout_keep_alive, config.timeout_graceful_shutdown) == (2.5, 299)
    assert (config.loop, config.workers, config.forwarded_allow_ips) == ("asyncio", 1, "10.0.0.1")
    assert config.ssl is None
    assert config.ws_protocol_class is None
    assert not any(name == b"server" for name, _ in config.encoded_headers)
