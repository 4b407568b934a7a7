"""One large upload: its latency, and the memory growth of the server."""

from __future__ import annotations

import threading
import time
import urllib.request

from benchmarks.report.result import Figures
from benchmarks.servers.server_process import Running
from benchmarks.workload.prediction_request import PredictionRequest


def upload(server: Running, request: PredictionRequest) -> Figures:
    """Time until the answer is read (``p50``, ms), and the peak growth in MiB (PSS) of the tree (``growth_tree``) and
    of the process that holds the client's connection (``growth_http``)."""
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
    began = time.perf_counter()
    try:
        with urllib.request.urlopen(request.to_urllib(server.port), timeout=300) as answer:
            answer.read()
        failed = 0.0
    except OSError:
        failed = 1.0
    elapsed = time.perf_counter() - began
    done.set()
    watcher.join()
    figures: Figures = {"errors": failed, "requests": 1.0, "growth_tree": max(0.0, tree - sum(before.values()))}
    growths = [peaks[pid] - before.get(pid, 0.0) for pid in receivers if pid in peaks]
    if growths:
        figures["growth_http"] = max(growths)
    return figures | ({} if failed else {"p50": elapsed * 1e3})
