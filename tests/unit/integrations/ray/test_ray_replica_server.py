"""The server of a replica in this process, with real model workers: what Ray sees, without Ray."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from drum_litestar.errors import ModelLoadError, PredictionError
from drum_litestar.execution.observer import NullObserver
from drum_litestar.integrations.ray.application_arguments import plan_of, read_arguments
from drum_litestar.integrations.ray.autoscaling import BUSY, SLOTS
from drum_litestar.integrations.ray.replica_server import ReplicaServer
from drum_litestar.integrations.ray.serve_edge import below_prefix
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.observability.logs.setup import WorkerOutput
from support.data import csv_of, table
from support.servers.faults import eventually
from support.zoo import Zoo


class Quiet(WorkerOutput):
    show_status = None

    def __init__(self) -> None:
        self.lines: list[str] = []

    def forward(self, worker: int, stream: str, line: str) -> None:
        self.lines.append(line)


class Counting(NullObserver):
    def __init__(self) -> None:
        self.calls = 0

    def model_seconds(self, seconds: float) -> None:
        self.calls += 1


@contextlib.asynccontextmanager
async def living(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """``app`` as Ray runs it: started, called, shut down."""
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, to_app.get, from_app.put))  # type: ignore[arg-type]
    await to_app.put({"type": "lifespan.startup"})
    assert (await from_app.get())["type"] == "lifespan.startup.complete"
    transport = httpx.ASGITransport(app, root_path="/m")
    async with httpx.AsyncClient(transport=transport, base_url="http://ray") as client:
        yield client
    await to_app.put({"type": "lifespan.shutdown"})
    assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
    await task


def replica(observer: NullObserver | None = None, **args: Any) -> ReplicaServer:
    arguments = read_arguments(args)
    return ReplicaServer(plan_of(arguments, dict(arguments.environment)), Quiet(), observer)


def test_a_replica_answers_over_asgi_and_without(zoo: Zoo) -> None:
    _, path = zoo["regression"]
    frame = table(3)

    async def run() -> None:
        observer = Counting()
        server = replica(observer, code_dir=str(path), target_type="regression")
        async with living(server.application()) as client:
            server.check_health()  # startup has waited for the model
            answer = await client.post("/m/predict/", content=csv_of(frame), headers={"content-type": "text/csv"})
            assert answer.status_code == 200
            assert "x-request-id" not in answer.headers  # Ray's proxy sets it
            assert answer.headers["x_request_id"]
            assert (await client.get("/m/readyz")).status_code == 200
            assert (await client.get("/m/nothing")).status_code == 404
            assert await server.predict(csv_of(frame)) == answer.content
            found = await server.predict(frame)
            assert list(found.columns) == ["Predictions"]
            assert found["Predictions"].tolist() == pytest.approx(answer.json()["predictions"], abs=1e-9)
            with pytest.raises(PredictionError) as caught:
                await server.predict(b"")
            assert caught.value.status == 422
            assert "message" not in str(caught.value)
            assert observer.calls >= 3
            assert server.autoscaling_stats() == {BUSY: 0.0, SLOTS: 1.0}
            before = server.executor.pids()
            await server.reload()
            assert server.executor.pids() != before
            assert await server.predict(csv_of(frame)) == answer.content
        assert server.executor.state == "stopped"
        server.check_health()

    asyncio.run(run())


def test_unstructured_text_and_transforms_without_http(zoo: Zoo) -> None:
    async def run() -> None:
        for name, target_type in (
            ("transform", "transform"),
            ("unstructured", "unstructured"),
            ("text", "textgeneration"),
        ):
            args = {"code_dir": str(zoo[name][1]), "target_type": target_type, "TARGET_NAME": "completion"}
            server = replica(None, executor="inline", **args)
            async with living(server.application()):
                assert await server.predict(b"a,b\n1,2\n"), name
                if name == "unstructured":
                    with pytest.raises(PredictionError, match="422: an unstructured model takes bytes"):
                        await server.predict(table(2))
                else:
                    assert len(await server.predict(pd.DataFrame({"promptText": ["a", "b"], "n": [1, 2]}))) == 2

    asyncio.run(run())


def test_a_folder_that_cannot_be_loaded_fails_the_health_check_with_our_message(tmp_path: Path) -> None:
    code = "def load_model(code_dir):\n    raise ValueError('no such weights')\n"
    (tmp_path / "custom.py").write_text(code + "def score_unstructured(model, data, **kwargs):\n    return data\n")

    async def run(**args: Any) -> str:
        server = replica(code_dir=str(tmp_path), target_type="unstructured", **args)
        async with living(server.application()) as client:
            if args:
                server.check_health()
                assert (await client.get("/m/ping/")).status_code == 513
                with pytest.raises(PredictionError) as refused:
                    await server.predict(b"x")
                assert refused.value.status == 513
                return ""
            with pytest.raises(ModelLoadError) as caught:
                server.check_health()
            with pytest.raises(PredictionError):
                await server.predict(b"x")
            return str(caught.value)

    assert "no such weights" in asyncio.run(run())
    asyncio.run(run(with_error_server=True))


def test_a_replica_whose_workers_cannot_be_replaced_is_unhealthy(zoo: Zoo, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(zoo["regression"][1], folder)

    async def run() -> None:
        server = replica(code_dir=str(folder), target_type="regression", DRUM_WORKER_DEATH_POLICY="exit")
        async with living(server.application()):
            server.check_health()
            (pid,) = server.executor.pids()
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(eventually, lambda: server.executor.state != "ready", "its death is noticed")
            with pytest.raises(ModelLoadError, match="A model worker died"):
                server.check_health()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("prefix", "path", "raw", "expected", "expected_raw"),
    [
        ("", "/predict/", b"/predict/", "/predict/", b"/predict/"),
        ("/m", "/m/predict/", b"/m/predict/", "/predict/", b"/predict/"),
        ("/m", "/m", b"/m", "/", b"/"),
        ("/m", "/more/x", b"/more/x", "/more/x", b"/more/x"),
        ("/m", "/m/a b", b"/m/a%20b", "/a b", b"/a%20b"),
        ("/m", "/m/x", b"/%6d/x", "/x", None),
        ("/m", "/m/x", None, "/x", None),
    ],
)
def test_a_path_begins_after_the_prefix(
    prefix: str, path: str, raw: bytes | None, expected: str, expected_raw: bytes | None
) -> None:
    found = below_prefix({"type": "http", "root_path": prefix, "path": path, "raw_path": raw})
    assert (found["path"], found["raw_path"]) == (expected, expected_raw)
