from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import Any

import msgspec

from drum_litestar.observability.metrics.stats import RequestTimes, StatsReporter

CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=0)
print(child.pid, flush=True)
child.wait()
"""


def report(reporter: StatsReporter) -> dict[str, Any]:
    try:
        return asyncio.run(reporter.report())
    finally:
        reporter.close()


def test_keys_are_drums_and_the_executors() -> None:
    answer = report(StatsReporter(list, lambda: {"executor_pending": 3}))
    assert answer["executor_pending"] == 3
    assert set(answer) == {"drum_info", "mem_info", "time_info", "executor_pending"}
    memory = answer["mem_info"]
    assert set(memory) == {
        "avail",
        "container_limit",
        "container_max_used",
        "container_used",
        "drum_rss",
        "free",
        "total",
    }
    (own, *_) = answer["drum_info"]
    assert set(own) == {"cmdline", "cpu_percent", "mem", "pid"}
    assert own["pid"] == os.getpid()
    assert 5 < own["mem"] <= memory["drum_rss"] < memory["total"]
    assert answer["time_info"] == {"run_predictor_total": {"avg": None, "max": None, "min": None, "total": None}}


def test_the_process_tree_of_each_worker_is_shown_without_dead_processes() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        grandchild = int(worker.stdout.readline())
        reporter = StatsReporter(lambda: [worker.pid, 2**22 + 1], dict)
        entries = {entry["pid"]: entry for entry in report(reporter)["drum_info"]}
        assert {os.getpid(), worker.pid, grandchild} <= set(entries)
        assert entries[worker.pid]["cmdline"][-1] == CHILD
        worker.stdin.close()
    assert worker.pid not in {entry["pid"] for entry in report(reporter)["drum_info"]}


def test_secrets_of_every_process_are_masked() -> None:
    """Children of workers included."""
    words = [
        "--hf-token",
        "k",
        "--api-key=k",
        "A_SECRET=k",
        "http://me:k@host",
        "Authorization: k",
        "--max-tokens",
        "5",
    ]
    shown = ["--hf-token", "*****", "--api-key=*****", "A_SECRET=*****", "http://*****@host", "Authorization: *****"]
    command = [sys.executable, "-c", "input()", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        entries = {entry["pid"]: entry for entry in report(StatsReporter(list, dict))["drum_info"]}
        assert entries[child.pid]["cmdline"] == [*command[:3], *shown, "--max-tokens", "5"]
        child.stdin.close()


def test_show_perf_counts_since_the_last_report() -> None:
    reporter = StatsReporter(list, dict, show_perf=True)
    assert report(reporter)["time_info"]["run_predictor_total"]["total"] is None
    for seconds in (0.0051, 0.0072):
        reporter.observe(seconds)
    assert report(reporter)["time_info"]["run_predictor_total"] == {
        "avg": 0.006,
        "max": 0.007,
        "min": 0.005,
        "total": 0.012,
    }
    assert report(reporter)["time_info"]["run_predictor_total"] == {"avg": None, "max": None, "min": None, "total": 0.0}


def test_without_show_perf_nothing_is_counted() -> None:
    reporter = StatsReporter(list, dict)
    reporter.observe(1.0)
    assert report(reporter)["time_info"]["run_predictor_total"]["total"] is None


def test_times_from_many_threads_are_all_counted() -> None:
    times = RequestTimes()

    def observe() -> None:
        for _ in range(500):
            times.observe(0.5)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert msgspec.structs.astuple(times.take()) == (0.5, 0.5, 0.5, 1000.0)


def test_reading_leaves_the_event_loop_free_and_the_default_threads_alone() -> None:
    async def main() -> tuple[int, set[str]]:
        reporter = StatsReporter(list, dict)
        reports = asyncio.gather(*(reporter.report() for _ in range(5)))
        turns = 0
        while not reports.done():
            await asyncio.sleep(0)
            turns += 1
        names = {thread.name.rpartition("_")[0] for thread in threading.enumerate()}
        reporter.close()
        return turns, names

    turns, names = asyncio.run(main())
    assert turns > 10
    assert "drum-stats" in names
    assert "asyncio" not in names


def test_cpu_percent_is_measured_between_two_reports() -> None:
    reporter = StatsReporter(list, dict)

    async def main() -> tuple[float, float]:
        first = (await reporter.report())["drum_info"][0]["cpu_percent"]
        sum(i * i for i in range(2_000_000))
        return first, (await reporter.report())["drum_info"][0]["cpu_percent"]

    first, second = asyncio.run(main())
    reporter.close()
    assert first == 0.0
    assert second > 0.0
