"""A predictor that can batch calls, whose rows say what it should do; and executors over it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from drum_litestar.execution.base_executor import BaseExecutor
from drum_litestar.execution.inline import InlineExecutor
from drum_litestar.execution.pool.pool import PoolExecutor
from drum_litestar.predictors.protocol import BatchingRule, ModelCall, ModelCard, Payload, Predictor, Reply, TargetType
from support.clock import LATER
from support.options import executor_options, pool_options
from support.predictors.executors import started
from support.predictors.scripted import note

EXECUTORS = ("inline", "pool")


class BatchingSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A picklable source of :class:`BatchingPredictor`; ``folder`` is where it notes calls for the test."""

    folder: str
    rule: BatchingRule = "on_request"
    concurrency: int = 1

    def build(self) -> Predictor:
        return BatchingPredictor(self)


class BatchingPredictor:
    """Echoes the rows of a call. A row can be the name of something to do instead."""

    def __init__(self, spec: BatchingSpec) -> None:
        self.spec = spec
        self.folder = Path(spec.folder)
        self.batching = spec.rule != "never"

    def load(self) -> ModelCard:
        return ModelCard(target_type=TargetType.REGRESSION, batching=self.spec.rule, concurrency=self.spec.concurrency)

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
    """Members of each batch, in order."""
    path = folder / "batches"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@asynccontextmanager
async def batching(
    kind: str, folder: Path, *, spec: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[BaseExecutor]:
    """A started executor of ``kind`` that batches up to 100 rows."""
    options.setdefault("batch_max_rows", 100)
    source = BatchingSpec(folder=str(folder), **(spec or {}))
    executor: BaseExecutor
    if kind == "inline":
        executor = InlineExecutor(source.build, executor_options(**options))
    else:
        executor = PoolExecutor(
            source,
            pool_options(
                builder="support.predictors.scripted:build_in_worker", kill_grace=0.3, backoff=0.01, **options
            ),
        )
    async with started(executor, folder, LATER if kind == "inline" else 0):
        yield executor
