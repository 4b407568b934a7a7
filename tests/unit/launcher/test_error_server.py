"""After a failed load: serve the reason, or say it and leave."""

from __future__ import annotations

import asyncio

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.launcher.error_server import watch_load
from http_serving import Broken, Mirror, card, options, serving


def watch(predictor: type[Broken] | None, *, error_server: bool) -> tuple[ModelLoadError | None, list[str]]:
    stopped: list[str] = []

    async def run() -> ModelLoadError | None:
        executor = InlineExecutor(predictor or (lambda: Mirror(card())))
        await executor.start()
        try:
            return await watch_load(executor, error_server=error_server, stop=lambda: stopped.append("stop"))
        finally:
            await executor.shutdown(1)

    return asyncio.run(run()), stopped


def test_a_loaded_model_is_nothing_to_watch(capsys: pytest.CaptureFixture[str]) -> None:
    assert watch(None, error_server=False) == (None, [])
    assert capsys.readouterr().err == ""


def test_without_error_server_the_message_goes_to_stderr(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    failure, stopped = watch(Broken, error_server=False)
    assert stopped == ["stop"]
    assert failure is not None
    assert failure.exit_code == 1
    assert capsys.readouterr().err == "ERROR: no such artifact\n"
    assert "Traceback: here" in caplog.text


def test_the_error_server_goes_on(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    assert watch(Broken, error_server=True) == (None, [])
    assert capsys.readouterr().err == ""
    assert "every route answers 513" in caplog.text


def test_a_real_failed_load_answers_513() -> None:
    with serving(InlineExecutor(Broken), options(error_server=True)) as server:
        answer = server.client.post("/predict/", content=b"a\n1\n")
        assert (answer.status_code, answer.content) == (513, b'{"message":"ERROR: no such artifact"}\n')
        assert server.client.get("/livez").status_code == 200
    with serving(InlineExecutor(Broken)) as server:
        assert server.client.get("/ping").status_code == 503
