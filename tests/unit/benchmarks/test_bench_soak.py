"""The soak's parts, and a run of some seconds against a real server."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from benchmarks.soak import BOUNDS, failures_of, main
from benchmarks.soak_run.course import Options, soak
from benchmarks.soak_run.growth import WARM_CALLS, Slope, least_squares, slopes
from benchmarks.soak_run.records import (
    Ended,
    Header,
    ProcessSample,
    Recorded,
    Recorder,
    Sample,
    Unexpected,
    WorkerSample,
    read,
)
from benchmarks.soak_run.report import MOST_SAMPLES, PLOT, Result, result_of, write

HEADER = Header("2030-01-01T00:00:00", {"CPU": "a"}, {"X": "1"}, 100.0, 60.0, 300.0, 1.8, 2.0)


def sample(
    at: float, crashes: int = 0, rss: float = 50.0, fds: int = 20, workers: tuple[WorkerSample, ...] = ()
) -> Sample:
    """A sample at 100 requests/s."""
    return Sample(
        at,
        int(at // 300) % 2 == 1,
        ProcessSample(1, rss, rss, rss, fds, 3, 4),
        list(workers),
        at / 3,
        int(at * 100),
        {"CSV, 1 row": {"200": int(at * 100)}},
        {"kill": crashes},
        {"died": crashes},
        10,
        5.0,
        20.0,
    )


def course(memory: Callable[[float, float], float]) -> list[Sample]:
    """An hour of samples; ``memory`` of the HTTP process in MiB for millions of requests and thousands of crashes."""
    found, crashes = [], 0
    for number in range(720):
        at = number * 5.0
        crashes += 3 * (int(at // 300) % 2)
        found.append(sample(at, crashes, memory(at * 100 / 1e6, crashes / 1e3)))
    return found


def by_name(found: list[Slope]) -> dict[tuple[str, str, str], Slope]:
    return {(slope.process, slope.what, slope.per): slope for slope in found}


def test_both_coefficients_are_found_beside_noise() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.3, 1000)
    x = np.column_stack([np.ones(1000), np.linspace(0, 1, 1000), np.linspace(0, 1, 1000) ** 2])
    values, errors = least_squares(x @ np.array([50.0, 4.0, -2.0]) + noise, x)
    assert np.all(np.abs(values - [50.0, 4.0, -2.0]) < 4 * errors)
    assert np.all(errors < 0.3)


def test_the_errors_are_larger_where_noise_lasts() -> None:
    steps = np.random.default_rng(2).normal(0.0, 1.0, 400)
    x = np.column_stack([np.ones(400), np.linspace(0, 1, 400)])
    _, short = least_squares(steps, x)
    _, lasting = least_squares(np.convolve(steps, np.ones(5) / math.sqrt(5), "same"), x)
    assert lasting[1] > 1.4 * short[1]


def test_what_depends_on_each_other_has_no_error() -> None:
    x = np.column_stack([np.ones(50), np.arange(50.0), 2 * np.arange(50.0)])
    _, errors = least_squares(np.arange(50.0), x)
    assert np.all(np.isnan(errors))


def test_growth_by_requests_and_by_crashes_is_told_apart() -> None:
    found = by_name(slopes(course(lambda requests, crashes: 50 + 8 * requests + 12 * crashes), 600, BOUNDS))
    for process, what, per, value in (
        ("HTTP process", "RSS, MiB", "million requests", 8),
        ("HTTP process", "USS, MiB", "thousand crashes", 12),
        ("HTTP process", "file descriptors", "hour", 0),
    ):
        assert found[process, what, per].value == pytest.approx(value, abs=1e-6)
    assert found["HTTP process", "RSS, MiB", "million requests"].exceeded
    assert not found["HTTP process", "file descriptors", "hour"].exceeded


def test_without_crashes_growth_is_by_requests_alone() -> None:
    quiet = [sample(at, 0, 50 + at / 1000) for at in range(0, 1000, 5)]
    found = by_name(slopes(quiet, 0, BOUNDS))
    assert found["HTTP process", "RSS, MiB", "million requests"].value == pytest.approx(10)
    assert ("HTTP process", "RSS, MiB", "thousand crashes") not in found


def test_workers_grow_by_their_own_calls_whatever_they_began_with() -> None:
    """Two lives one after the other, with 3 MiB for a million calls; the second begins at 200 MiB. A step of 20 MiB
    while they warm up does not count."""
    samples = []
    for number in range(80):
        calls, life = WARM_CALLS // 2 + 500 * (number % 40), number // 40
        memory = 100 + 100 * life + 3 * calls / 1e6 + 20 * (calls >= 0.8 * WARM_CALLS)
        worker = WorkerSample(10 + life, memory, memory, memory, 9, 0, 2, 1.0, calls)
        samples.append(sample(number * 5, workers=(worker,)))
    slope = by_name(slopes(samples, 0, BOUNDS))["workers", "RSS, MiB", "million calls"]
    assert slope.value == pytest.approx(3)
    assert not slope.exceeded


def test_few_samples_have_no_slopes() -> None:
    assert slopes([sample(5), sample(10)], 0, BOUNDS) == []


def test_each_thing_that_must_not_be_is_a_failure() -> None:
    last = sample(10)
    last.answers["CSV, 1 row"]["504"] = 3
    unexpected = [Unexpected(7, "CSV, 1 row", "504", "late")]
    ended = Ended(
        10, 1, {"failed": 1, "succeeded": 2}, {"executor_pending": 2, "spool files": 0}, ["Unhandled exception"]
    )
    grown = Slope("HTTP process", "RSS, MiB", "million requests", 9.0, 1.0, 5.0)
    assert failures_of(Recorded(HEADER, [last], unexpected, ended), [grown]) == [
        "Unexpected: 3 x CSV, 1 row: 504, first after 7 s",
        "executor_pending: 2 left",
        "The server's log: Unhandled exception",
        "The server ended with 1 after SIGTERM",
        "1 reloads failed",
        "HTTP process, RSS, MiB: +9.00 ± 1.00 per million requests, bound 5",
    ]
    assert failures_of(Recorded(HEADER, [sample(10)], [], None), []) == []


def test_a_killed_run_keeps_what_it_has(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for record in (HEADER, sample(5), Unexpected(6, "a", "b", "c")):
        recorder.add(record)
    recorder.close()
    with (tmp_path / "samples.jsonl").open("ab") as file:
        file.write(b'{"type": "sam')
    found = read(tmp_path)
    assert (found.header, found.samples, found.ended) == (HEADER, [sample(5)], None)
    assert found.unexpected == [Unexpected(6, "a", "b", "c")]


def test_a_run_without_a_sample_cannot_be_read(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.add(HEADER)
    recorder.close()
    with pytest.raises(ValueError, match="no sample yet"):
        read(tmp_path)


def test_no_sample_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"samples\.jsonl"):
        main(["--report", str(tmp_path)])


def test_the_report_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    samples = course(lambda requests, crashes: 50 + requests + 3 * crashes)
    recorded = Recorded(HEADER, samples, [Unexpected(7, "CSV, 1 row", "504", "a | `b`\n")])
    result = result_of(recorded, slopes(samples, 600, BOUNDS), ["something"])
    assert MOST_SAMPLES / 2 < len(result.samples) <= MOST_SAMPLES
    text = write(result, tmp_path).read_text()
    assert "- something" in text
    assert "| HTTP process | RSS, MiB | thousand crashes | +3.00 ± 0.00 | 5 |" in text
    assert "| CSV, 1 row | 504 | 7 s | `a \\| 'b'` |" in text
    plot = (tmp_path / PLOT).read_bytes()
    ElementTree.fromstring(plot)
    write(result, tmp_path)
    assert (tmp_path / PLOT).read_bytes() == plot
    assert msgspec.json.decode((tmp_path / "result.json").read_bytes(), type=Result) == result


def test_a_soak_of_some_seconds(tmp_path: Path) -> None:
    """Short phases, and a deadline that no busy machine misses: whatever it does, each answer was announced."""
    recorder, lines = Recorder(tmp_path / "results"), list[str]()
    home = tmp_path / "home"
    home.mkdir()
    options = Options(seconds=6.0, rate=40.0, phase=1.0, fault_interval=0.5, deadline=60.0, every=1.0)
    soak(options, home, recorder, lines.append)
    recorder.close()
    found = read(tmp_path / "results")
    assert failures_of(found, []) == []
    last = found.samples[-1]
    assert last.requests >= 240
    assert last.answers["CSV, 1 row"]["200"] > 0
    assert last.crashes > 0
    assert last.faults.keys() <= {"kill", "segfault", "hang", "reload"}
    assert last.http.rss > last.http.uss > 0
    assert any(worker.calls for one in found.samples for worker in one.workers)
    assert found.ended is not None
    assert found.ended.exit_code == 0
    assert " min, " in lines[-1]
