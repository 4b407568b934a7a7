"""Concurrent chat clients, each reading one stream: time to the first token, tokens/s."""

from __future__ import annotations

import asyncio
import time

import uvloop

from benchmarks.load.client import Client, LostError, posts
from benchmarks.report.result import Figures, latencies
from benchmarks.workload.prediction_request import PredictionRequest

TIMEOUT = 120.0


def chat_streams(port: int, request: PredictionRequest, clients: int) -> Figures:
    """``clients`` streams at once. ``p50``...: ms until the first token; ``tokens`` per second over all; ``errors``:
    streams that ended without ``[DONE]`` or had another status than 200."""
    return uvloop.run(_all(port, next(posts(request)), clients))


async def _all(port: int, request: bytes, clients: int) -> Figures:
    client = Client(port)
    began = time.perf_counter()
    results = await asyncio.gather(*(_one(client, request) for _ in range(clients)))
    elapsed = time.perf_counter() - began
    client.close()
    firsts = [first for first, _ in results if first is not None]
    tokens = sum(count for _, count in results)
    figures: Figures = {"errors": float(clients - len(firsts)), "requests": float(clients), "tokens": tokens / elapsed}
    return figures | ({"rate": len(firsts) / elapsed} | latencies(firsts) if firsts else {})


async def _one(client: Client, request: bytes) -> tuple[float | None, int]:
    began = time.perf_counter()
    first: float | None = None
    pieces: list[bytes] = []

    def on_body(piece: bytes) -> None:
        nonlocal first
        first = first or time.perf_counter() - began
        pieces.append(piece)

    try:
        status = await asyncio.wait_for(client.send(request, on_body), TIMEOUT)
    except (OSError, LostError, asyncio.TimeoutError):
        status = 0
    text = b"".join(pieces)
    whole = status == 200 and b"data: [DONE]" in text
    return (first if whole else None), text.count(b"data: ") - whole
