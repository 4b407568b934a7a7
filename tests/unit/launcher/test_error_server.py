"""After a failed load: the server answers with the reason, or logs it and ends."""

from __future__ import annotations

import asyncio

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.launcher.error_server import watch_load
from drum_litestar.observability.logs.log_format import TextFormatter
from http_serving import Broken, Mirror, card, serving
from support.options import executor_options


def watch(predictor: type[Broken] | None, *, error_server: bool) -> ModelLoadError | None:
    async def run() -> ModelLoadError | None:
        executor = InlineExecutor(predictor or (lambda: Mirror(card())))
        await executor.start()
        try:
            return await watch_load(executor, error_server=error_server)
        finally:
            await executor.shutdown(1)

    return asyncio.run(run())


def test_a_loaded_model_is_nothing_to_watch(caplog: pytest.LogCaptureFixture) -> None:
    assert watch(None, error_server=False) is None
    assert not caplog.records


def test_without_error_server_the_failure_ends_the_server(caplog: pytest.LogCaptureFixture) -> None:
    failure = watch(Broken, error_server=False)
    assert failure is not None
    assert (str(failure), failure.exit_code) == ("no such artifact", 1)
    (record,) = caplog.records
    line, *rest = TextFormatter().format(record).split("\n")
    assert line.endswith("The model failed to load ")
    assert [part[:4] for part in rest] == ["    "] * len(rest)
    assert "Traceback: here" in rest[0]


def test_the_error_server_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    assert watch(Broken, error_server=True) is None
    assert "every route answers 513" in caplog.text


def test_a_real_failed_load_answers_513() -> None:
    with serving(InlineExecutor(Broken, executor_options(error_server=True))) as server:
        answer = server.client.post("/predict/", content=b"a\n1\n")
        assert (answer.status_code, answer.content) == (513, b'{"message":"ERROR: no such artifact"}\n')
        assert server.client.get("/livez").status_code == 200
    with serving(InlineExecutor(Broken)) as server:
        assert server.client.get("/ping").status_code == 503
