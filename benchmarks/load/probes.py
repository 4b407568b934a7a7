"""Probes at a constant rate beside predictions that hold the interpreter's lock."""

from __future__ import annotations

import asyncio
import contextlib

import uvloop

from benchmarks.load.client import Client, LostError, get, post
from benchmarks.load.opened import at_rate
from benchmarks.question import Question
from benchmarks.results import Figures, latencies

PER_SECOND = 50
PATIENCE = 5.0
"""Seconds after which a probe has failed; an orchestrator would wait less."""


def probe_latency(port: int, path: str, question: Question, seconds: float) -> Figures:
    """Latencies of ``path``, from the moment each probe was due, while one client predicts all the time."""
    return uvloop.run(_run(port, path, question, seconds))


async def _run(port: int, path: str, question: Question, seconds: float) -> Figures:
    probes, predictions = Client(port), Client(port)
    load = asyncio.ensure_future(_predict(predictions, post(question)))
    await asyncio.sleep(0.2)
    request = get(path)
    good, failed = await at_rate(PER_SECOND, seconds, lambda: probes.ask(request), PATIENCE)
    load.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await load
    probes.close()
    predictions.close()
    figures: Figures = {"errors": float(failed), "requests": float(len(good) + failed)}
    return figures | (latencies(good) if good else {})


async def _predict(client: Client, request: bytes) -> None:
    while True:
        with contextlib.suppress(OSError, LostError):
            await client.ask(request)
            continue
        await asyncio.sleep(0.05)
