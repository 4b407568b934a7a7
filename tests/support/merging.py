"""A predictor that can merge calls, whose rows say what it should do; and executors over it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, overload

import msgspec

from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.execution.pool.options import PoolOptions
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Payload, Predictor, Reply, TargetType
from support.scripted import note

EXECUTORS = ("inline", "pool")


class MergingSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A picklable source of :class:`MergingPredictor`; ``folder`` is where it leaves traces for the test."""

    folder: str
    batchable: bool = True
    concurrency: int = 1

    def build(self) -> Predictor:
        return MergingPredictor(self)


class MergingPredictor:
    """Echoes the rows of a call. A row can be the name of something to do instead."""

    def __init__(self, spec: MergingSpec) -> None:
        self.spec = spec
        self.folder = Path(spec.folder)
        self.batching = spec.batchable

    def load(self) -> ModelCard:
        return ModelCard(
            target_type=TargetType.REGRESSION, batchable=self.spec.batchable, concurrency=self.spec.concurrency
        )

    def close(self) -> None: ...

    def handle(self, call: ModelCall) -> Reply:
        note(self.folder, "singles")
        rows = rows_of(call)
        for row in rows:
            self.act(row)
        return Reply(body=json.dumps(rows).encode())

    def handle_batch(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        with (self.folder / "batches").open("a") as file:
            file.write(f"{len(calls)}\n")
        rows = [row for call in calls for row in rows_of(call)]
        if "refuse" in rows:
            return None
        if "short" in rows:
            return [Reply()]
        if "aggregate" in rows:
            self.batching = False
            return None
        for row in rows:
            self.act(row)
        return [Reply(body=json.dumps(rows_of(call)).encode()) for call in calls]

    def act(self, row: str) -> None:
        if row == "raise":
            raise ValueError("boo")
        if row == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        verb, _, name = row.partition(":")
        if verb == "wait":
            note(self.folder, "begins")
            while not (self.folder / name).exists():
                time.sleep(0.005)


def rows_of(call: ModelCall) -> list[str]:
    assert call.x is not None
    return call.x.read().decode().splitlines()[1:]


def table(*rows: str, header: str = "a", **payload: Any) -> ModelCall:
    """A prediction for ``rows`` of one text column; its request id is the first row."""
    data = "".join(f"{line}\n" for line in (header, *rows)).encode()
    payload.setdefault("mimetype", "text/csv")
    return ModelCall(
        kind="predict", request_id=rows[0] if rows else "", x=Payload(data=data, size=len(data), **payload)
    )


def echoed(*rows: str) -> bytes:
    return json.dumps(list(rows)).encode()


def batches(folder: Path) -> list[int]:
    """How many calls each merged call had, in order."""
    path = folder / "batches"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@overload
def merging(
    kind: Literal["pool"], folder: Path, *, spec: dict[str, Any] | None = None, **options: Any
) -> AbstractAsyncContextManager[PoolExecutor]: ...
@overload
def merging(
    kind: str, folder: Path, *, spec: dict[str, Any] | None = None, **options: Any
) -> AbstractAsyncContextManager[InlineExecutor | PoolExecutor]: ...
@asynccontextmanager
async def merging(kind: str, folder: Path, *, spec: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[Any]:
    """A started executor of ``kind`` that merges up to 100 rows; ``folder/go`` appears before its shutdown."""
    options.setdefault("batch_max_rows", 100)
    source = MergingSpec(folder=str(folder), **(spec or {}))
    executor: InlineExecutor | PoolExecutor
    if kind == "inline":
        executor = InlineExecutor(source, **options)
    else:
        executor = PoolExecutor(source, PoolOptions(kill_grace=0.3, backoff=0.01, **options))
    await executor.start()
    await executor.wait_started()
    try:
        yield executor
    finally:
        (folder / "go").touch()
        await executor.shutdown(5 if kind == "inline" else 0)
