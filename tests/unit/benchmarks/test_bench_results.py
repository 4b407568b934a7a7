from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load.closed_loop import read_result
from benchmarks.report.result import (
    HEADLINES,
    Described,
    Figures,
    Result,
    Sample,
    Start,
    latencies,
    load,
    percentile,
    save,
)
from benchmarks.report.result_comparison import changes, noise_of, table
from benchmarks.runner.progress import clock
from benchmarks.servers.machine import neutral


def result(samples: dict[tuple[str, str], list[Figures]], kind: str = "closed") -> Result:
    """One with these rounds by scenario and contender."""
    return Result(
        created="2030-01-01T00:00:00+00:00",
        machine={},
        settings={},
        contenders={name: name.upper() for _, name in samples},
        described={scenario: Described(kind, "ridge, 1", 2) for scenario, _ in samples},
        versions={},
        commands={},
        samples=[
            Sample(scenario, name, number, figures)
            for (scenario, name), rounds in samples.items()
            for number, figures in enumerate(rounds, 1)
        ],
        starts=[],
        absences=[],
        plain_loop={"ridge, 1": [90.0, 100.0, 400.0]},
    )


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (50, 2), (51, 3), (75, 3), (99, 4), (100, 4)])
def test_percentiles_are_nearest_ranks(share: int, expected: int) -> None:
    assert percentile([4, 2, 1, 3], share) == expected


def test_latencies_are_in_ms() -> None:
    assert latencies([0.001] * 99 + [0.5]) == {"p50": 1.0, "p95": 1.0, "p99": 1.0}
    assert latencies([0.25]) == {"p50": 250.0, "p95": 250.0, "p99": 250.0}


def test_medians_and_ratios_of_the_same_run() -> None:
    found = result({("s", "drum"): [{"rate": 100}, {"rate": 300}, {"rate": 200}], ("s", "ours"): [{"rate": 500}]})
    assert found.middle("s", "drum", "rate") == 200
    assert found.ratio("s", "ours", "rate") == 2.5
    assert found.gain("s", "ours") == 2.5
    assert found.middle("s", "ours", "p99") is None
    assert found.ratio("s", "ours", "p99") is None
    assert found.limit("s") == 200, "median of the plain loop, times two workers"


def test_less_latency_is_a_gain() -> None:
    found = result({("s", "drum"): [{"p99": 40.0}], ("s", "ours"): [{"p99": 10.0}]}, kind="open")
    assert found.ratio("s", "ours", "p99") == 0.25
    assert found.gain("s", "ours") == 4.0
    assert found.limit("s") is None


def test_starts_leave_out_those_of_uploads() -> None:
    found = result({("s", "ours"): [{"rate": 1.0}]})
    found.starts = [Start("ours", "ridge", 1, 2.0, [40.0]), Start("ours", "ridge", 1, 2.0, [900.0], uploaded=True)]
    assert [start.pss for start in found.starts_of("ours")] == [[40.0]]


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    written = result({("s", "drum"): [{"rate": 1.5}]})
    path = save(written, tmp_path / "new")
    assert load(path) == load(path.parent) == written


def test_changes_beyond_the_noise_come_first() -> None:
    drum = [{"rate": 100.0, "p50": 10.0}, {"rate": 102.0, "p50": 10.0}]
    old = result({("s", "drum"): drum, ("s", "ours"): [{"rate": 200.0, "p50": 5.0}, {"rate": 204.0, "p50": 5.0}]})
    new = result({("s", "drum"): drum, ("s", "ours"): [{"rate": 150.0, "p50": 5.1}, {"rate": 152.0, "p50": 5.1}]})
    found = {(change.contender, change.figure): change for change in changes(old, new)}
    rate, p50 = found["ours", "rate"], found["ours", "p50"]
    assert set(found) == {("ours", "rate"), ("ours", "p50")}, "DRUM is what the others are compared with"
    assert rate.relative == pytest.approx(-0.2525, abs=1e-3)
    assert rate.clear
    assert not rate.better
    assert not p50.clear, "2 % is less than the least noise"
    text = table(list(found.values()))
    assert "| s | ours | requests/s x DRUM | 2 | 1.5 | -25% | 5% | worse |" in text
    assert text.endswith("1 of 2 figures did not change by more than the noise.")


def test_a_slower_machine_is_no_change() -> None:
    old = result({("s", "drum"): [{"rate": 100.0}], ("s", "ours"): [{"rate": 200.0}]})
    new = result({("s", "drum"): [{"rate": 50.0}], ("s", "ours"): [{"rate": 100.0}]})
    assert [change.relative for change in changes(old, new)] == [0.0]


def test_without_drum_the_figures_themselves_are_compared() -> None:
    old, new = result({("s", "ours"): [{"rate": 200.0}]}), result({("s", "ours"): [{"rate": 300.0}]})
    (change,) = changes(old, new)
    assert (change.before, change.after, change.to_drum, change.better) == (200.0, 300.0, False, True)


@pytest.mark.parametrize("kind", HEADLINES)
def test_the_headline_figure_of_every_kind_is_compared_in_its_direction(kind: str) -> None:
    headline = HEADLINES[kind]
    old, new = (result({("s", "ours"): [{headline.figure: value}]}, kind) for value in (100.0, 200.0))
    (change,) = changes(old, new)
    assert (change.figure, change.better) == (headline.figure, headline.more_is_better)


def test_the_first_lost_request_is_a_change_and_none_is_not() -> None:
    none, some = (result({("s", "ours"): [{"lost": lost}]}, "rollout") for lost in (0.0, 35.0))
    (change,) = changes(none, some)
    assert change.clear
    assert not change.better
    assert "| s | ours | lost requests | 0 | 35 | +inf% |" in table([change])
    (change,) = changes(some, none)
    assert change.better
    assert changes(none, none) == []


def test_noise_is_the_wider_spread_of_the_two_in_a_ratio() -> None:
    found = result({("s", "drum"): [{"rate": 100.0}, {"rate": 130.0}], ("s", "ours"): [{"rate": 200.0}]})
    assert noise_of(found, "s", "ours", "rate", to_drum=True) == pytest.approx(0.3)
    assert noise_of(found, "s", "ours", "rate", to_drum=False) == 0.05


def test_what_wrk_says() -> None:
    figures = read_result("...\nRESULT 1000 2000000 100 5 1500.0 2500.0 9000.0\n")
    assert figures == {"rate": 450.0, "errors": 105.0, "requests": 1000.0, "p50": 1.5, "p95": 2.5, "p99": 9.0}
    assert "p50" not in read_result("RESULT 7 1000000 7 0 1.0 1.0 1.0")
    with pytest.raises(RuntimeError, match="unable to connect"):
        read_result("unable to connect")


def test_results_do_not_name_places_of_the_machine() -> None:
    text = neutral(f"{Path.home()}/x and /opt/other/bin/drum", Path("/opt/other/bin/drum"))
    assert text == "~/x and $DRUM/bin/drum"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (-3, "0:00"), (61.4, "1:01"), (3723, "1:02:03")])
def test_time_left_reads_as_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
