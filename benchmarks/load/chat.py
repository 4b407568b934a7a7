"""Concurrent chat clients, each reading one stream: time to the first token, tokens/s."""

from __future__ import annotations

import asyncio
import time

import uvloop

from benchmarks.load.client import Client, LostError, posts
from benchmarks.report.result import Figures, latencies
from benchmarks.workload.prediction_request import PredictionRequest

TIMEOUT = 120.0


def chat_streams(port: int, request: PredictionRequest, clients: int, limit: float | None = None) -> Figures:
    """``clients`` streams at once. ``p50``...: ms until the first token; ``tokens`` per second over all; ``errors``:
    streams that ended without ``[DONE]`` or had another status than 200.

    Streams that have not ended after ``limit`` seconds are abandoned (``unfinished``) and are no errors. Their tokens
    count; one without a first token counts as if it had come at the end.
    """
    return uvloop.run(_all(port, next(posts(request)), clients, limit))


async def _all(port: int, request: bytes, clients: int, limit: float | None) -> Figures:
    client = Client(port)
    streams = [_Stream() for _ in range(clients)]
    began = time.perf_counter()
    tasks = [asyncio.ensure_future(stream.read(client, request)) for stream in streams]
    _, unfinished = await asyncio.wait(tasks, timeout=limit)
    elapsed = time.perf_counter() - began
    for task in unfinished:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    client.close()
    firsts = []
    whole = 0
    for stream, task in zip(streams, tasks, strict=True):
        if task in unfinished:
            firsts.append(elapsed if stream.first is None else stream.first)
        elif task.result() and stream.first is not None:
            whole += 1
            firsts.append(stream.first)
    figures: Figures = {
        "requests": float(clients),
        "unfinished": float(len(unfinished)),
        "errors": float(clients - len(firsts)),
        "tokens": sum(stream.tokens() for stream in streams) / elapsed,
    }
    return figures | ({"rate": whole / elapsed} if whole else {}) | (latencies(firsts) if firsts else {})


class _Stream:
    """One stream; what has arrived of it is known at any time."""

    def __init__(self) -> None:
        self.first: float | None = None
        """Seconds until its first piece."""
        self._pieces: list[bytes] = []

    async def read(self, client: Client, request: bytes) -> bool:
        """Whether the stream was answered with 200 and ended with ``[DONE]``."""
        began = time.perf_counter()

        def on_body(piece: bytes) -> None:
            self.first = self.first or time.perf_counter() - began
            self._pieces.append(piece)

        try:
            status = await asyncio.wait_for(client.send(request, on_body), TIMEOUT)
        except (OSError, LostError, asyncio.TimeoutError):
            status = 0
        return status == 200 and self._ends()

    def tokens(self) -> int:
        """How many events have arrived, without ``[DONE]``."""
        return b"".join(self._pieces).count(b"data: ") - self._ends()

    def _ends(self) -> bool:
        return b"data: [DONE]" in b"".join(self._pieces)
