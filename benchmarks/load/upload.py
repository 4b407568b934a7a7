"""Large uploads, one after the other: their latency, and the memory growth of the server."""

from __future__ import annotations

import statistics
import threading
import time
import urllib.request

from benchmarks.report.result import Figures
from benchmarks.servers.server_process import Running
from benchmarks.workload.prediction_request import PredictionRequest

UPLOADS = 5


def upload(server: Running, request: PredictionRequest) -> Figures:
    """Time until the answer is read (``p50``, median of :data:`UPLOADS`, ms), and the peak growth in MiB (PSS) of the
    tree (``growth_tree``) and of the process that holds the client's connection (``growth_http``)."""
    before = server.pss()
    peaks = dict(before)
    tree = 0.0
    receivers: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        nonlocal tree
        while not done.wait(0.05):
            sizes = server.pss()
            tree = max(tree, sum(sizes.values()))
            receivers.update(server.receivers())
            for pid, size in sizes.items():
                peaks[pid] = max(peaks.get(pid, 0.0), size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    times = [_send(server, request) for _ in range(UPLOADS)]
    done.set()
    watcher.join()
    answered = [seconds for seconds in times if seconds is not None]
    figures: Figures = {"errors": float(UPLOADS - len(answered)), "requests": float(UPLOADS)}
    figures["growth_tree"] = max(0.0, tree - sum(before.values()))
    growths = [peaks[pid] - before.get(pid, 0.0) for pid in receivers if pid in peaks]
    if growths:
        figures["growth_http"] = max(growths)
    return figures | ({"p50": statistics.median(answered) * 1e3} if answered else {})


def _send(server: Running, request: PredictionRequest) -> float | None:
    """Seconds; None without an answer of 2xx."""
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request.to_urllib(server.port), timeout=300) as answer:
            answer.read()
    except OSError:
        return None
    return time.perf_counter() - began
