"""The ratios to DRUM by load and model, with which a report begins, and the plots by model."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.report.lead import ROWS, lead, median, ratios
from benchmarks.report.markdown import SENT, render
from benchmarks.report.plots import draw
from benchmarks.report.result import Described, Result, Sample, load
from benchmarks.report.tables import scenario_table

PUBLISHED = Path(__file__).resolve().parents[3] / "benchmarks" / "results"
GAINS = {"ridge": 6.0, "ridge rounded": 9.0, "mixed": 1.5, "wide": 2.0, "forest": 0.9}
"""How many times DRUM's requests/s this server has with each data."""
LOADS = ("1 row, c=1", "1 row, c=16", "1 row, c=64", "100 rows, c=16")


@pytest.fixture
def result() -> Result:
    """One round in which DRUM has 100 requests/s and 10 ms everywhere."""
    described = {f"{d}, {w}": Described("closed", f"{d}, {w.split()[0]}", 1, d, w) for d in GAINS for w in LOADS}
    described["sleeping model, c=16"] = Described("closed", "sleep, 1", 1, "", "sleeping model, c=16")
    samples = []
    for name, scenario in described.items():
        gain = GAINS.get(scenario.data, 1.0)
        for contender, times in (("drum", 1.0), ("ours", gain), ("batched", 2 * gain)):
            figures = {"rate": 100 * times, "p50": 10 / times, "errors": 0.0, "requests": 100.0}
            samples.append(Sample(name, contender, 1, figures))
    return Result(
        created="2030-01-01T00:00:00+00:00",
        machine={},
        settings={},
        contenders={"drum": "DRUM", "ours": "this server", "batched": "this server, batching"},
        described=described,
        versions={},
        commands={},
        samples=samples,
        starts=[],
        absences=[],
        plain_loop={scenario.work: [5000.0] for scenario in described.values()},
        public_loop={scenario.work: [1234.0] for scenario in described.values()},
        data={name: f"words for {name}" for name in GAINS},
    )


def test_a_report_begins_with_the_ratios_of_each_model(result: Result) -> None:
    text = render(result, [])
    assert text.index("## Against DRUM") < text.index("## At a glance")
    assert (
        "| 1 row, c=16 | requests/s | this server | **1.75** | 6.00 (600; 100) | 9.00 (900; 100) | 1.50 (150; 100) "
        "| 2.00 (200; 100) | 0.90 (90; 100) |"
    ) in text
    assert "| 1 row, c=64 | requests/s | this server, batching | **3.50** | 12.00 (1,200; 100) |" in text
    assert "| 1 row, c=1 | p50 ms (less is better) | this server | **0.58** | 0.17 (1.67; 10) |" in text
    assert text.count("- mixed: words for mixed") == 1


def test_the_rounded_rows_are_shown_but_are_no_model_of_their_own(result: Result) -> None:
    assert "- ridge rounded: words for ridge rounded; not in the median" in lead(result)
    assert median({"ridge": 2.0, "mixed": 4.0, "ridge rounded": 90.0}) == 3.0
    assert median({"ridge rounded": 90.0}) is None


def test_a_load_that_drum_or_this_server_lacks_has_no_line(result: Result) -> None:
    result.samples = [s for s in result.samples if s.contender != "batched" and "100 rows" not in s.scenario]
    text = lead(result)
    assert "batching" not in text
    assert "100 rows" not in text
    result.samples = [s for s in result.samples if s.contender != "drum"]
    assert lead(result) == ""
    assert "## Against DRUM" not in render(result, [])


def test_a_rate_with_errors_is_in_no_ratio(result: Result) -> None:
    for sample in result.samples:
        if sample.scenario.startswith("ridge, ") and sample.contender == "ours":
            sample.figures["errors"] = 50.0
    (rate,) = [row for row in ROWS if (row.load, row.contender) == ("1 row, c=16", "ours")]
    assert set(ratios(result, rate)) == set(GAINS) - {"ridge"}
    assert "| **1.50** | - | 9.00 (900; 100) |" in lead(result)


def test_losses_to_drum_stay_in_the_report(result: Result) -> None:
    assert "| forest, 1 row, c=16 | requests/s | DRUM | 100 | 90 | 180 |" in render(result, [])


def test_both_plain_loops_are_in_table_and_plot(result: Result, tmp_path: Path) -> None:
    """And the overview has a panel for each model."""
    assert scenario_table(result, "mixed, 1 row, c=16").endswith("Plain loop: 5,000 calls/s, without shortcuts 1,234.")
    pytest.importorskip("matplotlib")
    assert {"throughput.svg", "overview.svg"} <= set(draw(result, tmp_path))
    drawn = (tmp_path / "throughput.svg").read_text()
    panels = len(result.described)
    for color, words in (("#000000", "plain loop with shortcuts"), ("#c0392b", "plain loop without shortcuts")):
        lines = [line for line in drawn.splitlines() if "stroke-dasharray: 3" in line and color in line.lower()]
        assert len(lines) == panels + 1, "one in each panel, and one in the legend"
        assert f"<!-- {words} -->" in drawn
    overview = (tmp_path / "overview.svg").read_text()
    for name in GAINS:
        assert f"<!-- {name}: words for {name} -->" in overview
    assert overview.count("<!-- 1 row, c=16 -->") == len(GAINS)


def test_published_results_can_be_reported_and_are_not_said_to_be_what_they_are_not() -> None:
    paths = list(PUBLISHED.glob("20*/result.json"))  # those of soaks are others
    assert paths
    for path in paths:
        found = load(path)
        text = render(found, [])
        assert (SENT in text) == bool(found.data)
