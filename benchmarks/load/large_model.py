"""The start of a server whose model is large, and its memory once all workers have it."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from benchmarks.report.result import Figures
from benchmarks.servers.server_process import Running
from benchmarks.workload.prediction_request import PredictionRequest

TIMEOUT = 60.0
"""Seconds in which all workers must have answered."""
_NUMBER = re.compile(rb"(?<=[\[,:\s])\d+(?=(?:\.0)?[\],}\s])")


def start(server: Running, request: PredictionRequest, workers: int) -> Figures:
    """Seconds from the start to the first prediction (``first``), and until all workers have answered (``all``; not
    there where they cannot be told apart)."""
    began = time.monotonic()
    together = answered_by(server, request, workers)
    figures: Figures = {"first": server.cold_start}
    return figures | ({"all": server.cold_start + time.monotonic() - began} if together else {})


def memory(server: Running, request: PredictionRequest, workers: int) -> Figures:
    """``pss``: MiB (PSS) of all processes, once all workers have answered and rest; ``processes``: their number."""
    answered_by(server, request, workers)
    server.settle()
    sizes = server.pss()
    return {"pss": sum(sizes.values()), "processes": float(len(sizes))}


def answered_by(server: Running, request: PredictionRequest, workers: int) -> bool:
    """Ask on new connections, twice as many at once as there are workers, until so many processes have answered (the
    model answers with the id of its process); False when they have not in :data:`TIMEOUT`."""
    end = time.monotonic() + TIMEOUT
    seen: set[int] = set()
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set() and time.monotonic() < end:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(request.to_urllib(server.port), timeout=TIMEOUT) as answer:
                    numbers = {int(number) for number in _NUMBER.findall(answer.read())}
                seen.update(numbers & {process.pid for process in server.processes()})
                if len(seen) >= workers:
                    enough.set()

    with ThreadPoolExecutor(2 * workers) as threads:
        for asking in [threads.submit(ask) for _ in range(2 * workers)]:
            asking.result()
    return enough.is_set()
