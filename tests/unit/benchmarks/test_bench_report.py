"""The report of a small real run (one second for each measurement, MLServer did not start)."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import main
from benchmarks.contenders import CONTENDERS
from benchmarks.report.markdown import render
from benchmarks.report.panels import COLORS
from benchmarks.report.result import THIS_SERVER, Described, Result, Sample, load
from benchmarks.report.tables import failures, glance, losses, number, scenario_table, with_spread

RECORDED = Path(__file__).with_name("small_result.json")


@pytest.fixture
def result() -> Result:
    return load(RECORDED)


def test_the_report_has_a_table_for_each_scenario(result: Result) -> None:
    text = render(result, [])
    for scenario in result.scenarios():
        assert f"### {scenario}\n" in text
    assert "| DRUM, gunicorn sync | 308 | 53.9 | 59.2 | 59.5 | 0 | 3.31 | 1.00 | 1.00 | 0.087 |" in text
    assert "| drum-litestar | 1,236 | 12.8 | 15.5 | 17.7 | 0 | 0.799 | 4.02 | 0.24 | 0.35 |" in text
    assert "Plain loop: 3,537 calls/s." in text
    assert "None" not in text
    assert "nan" not in text.lower().replace("nanmin", "")


def test_rows_have_as_many_cells_as_their_head(result: Result) -> None:
    tables = [block for block in render(result, []).split("\n\n") if block.startswith("| ")]
    assert len(tables) >= 9
    for block in tables:
        assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_a_loss_is_said_as_plainly_as_a_win(result: Result) -> None:
    lines = losses(result).splitlines()
    assert "| sleeping model, c=16 | requests/s | FastAPI + threads | 288 | 18.0 |" in "\n".join(lines)
    assert not any(line.startswith("| 1 row, c=16") for line in lines)


def test_a_contender_that_refuses_requests_is_not_better(result: Result) -> None:
    for sample in result.samples:
        if sample.contender == "fastapi":
            sample.figures["errors"] = sample.figures["requests"] / 2
    assert "FastAPI" not in losses(result)


def test_this_server_with_other_requests_or_in_ray_is_no_rival(result: Result) -> None:
    """Each contender that is this server is known to be."""
    for name in ("v2", "ray"):
        result.contenders[name] = f"drum-litestar, {name}"
        result.samples.append(Sample("1 row, c=16", name, 1, {"rate": 1e6, "errors": 0.0, "requests": 1e6}))
    assert "1,000,000" not in losses(result)
    assert "1,000,000" not in glance(result)
    assert {one.name for one in CONTENDERS if one.title.startswith("drum-litestar")} == set(THIS_SERVER)


def test_each_contender_has_a_color_of_its_own() -> None:
    assert {one.name for one in CONTENDERS} == set(COLORS)
    assert len({color.lower() for color in COLORS.values()}) == len(COLORS)


def test_goodput_counts_whatever_else_failed(result: Result) -> None:
    result.described["storm"] = Described("storm", "hang, 1", 1, "", "storm", "Every hundredth call hangs.")
    for name, goodput in (("drum", 10.0), ("ours", 30.0), ("fastapi", 60.0)):
        figures = {
            "goodput": goodput,
            "late": goodput / 2,
            "errors": 50.0,
            "requests": 100.0,
            "p99": 5.0,
            "hung": 3.0,
            "ended": 2.0,
        }
        result.samples.append(Sample("storm", name, 1, figures))
    assert "| storm | good answers/s | FastAPI + threads | 60 | 30 |" in losses(result)
    text = render(result, [])
    assert "### storm\n\nEvery hundredth call hangs.\n\n| server | good answers/s |" in text
    assert "| drum-litestar | 30 | 15 | - | - | 5 | 50 | 3 | 2 | 3.00 |" in text


def test_a_contender_without_an_answer_in_time_is_reported(result: Result) -> None:
    for sample in result.samples:
        if (sample.scenario, sample.contender) == ("1 row, c=16", "litserve"):
            sample.figures = {"rate": 0.0, "errors": 0.0, "requests": 0.0}
    assert "| LitServe (no answer before the end of the measurement) | 0 | - |" in scenario_table(result, "1 row, c=16")


def test_without_losses_it_says_so(result: Result) -> None:
    result.samples = [sample for sample in result.samples if sample.contender == "ours"]
    assert losses(result).startswith("In no scenario")
    result.samples = []
    assert losses(result) == "This server, as it comes, was not measured."


def test_a_contender_that_did_not_start_is_named_with_the_error(result: Result) -> None:
    text = failures(result)
    assert "**MLServer**: 1 row, c=16" in text
    assert "did not start" in text
    assert "FastAPI" not in text
    result.absences = [absence for absence in result.absences if absence.expected]
    assert failures(result) == "Everything ran."


def test_a_contender_without_a_scenario_is_listed_below_it(result: Result) -> None:
    _, _, chat = render(result, []).partition("### chat stream, 50 clients")
    assert "n/a: LitServe (serves predictions only)" in chat


def test_rounds_show_their_spread(result: Result) -> None:
    result.samples.append(Sample("1 row, c=16", "ours", 2, {"rate": 1300.0, "p50": 12.8}))
    assert "| drum-litestar | 1,268 (1,236..1,300) | 12.8 |" in scenario_table(result, "1 row, c=16")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0"), (0.1234, "0.123"), (12.34, "12.3"), (1234.5, "1,234"), (3.0, "3")]
)
def test_numbers_have_three_figures(value: float | None, text: str) -> None:
    assert number(value) == text


def test_no_values_are_a_dash() -> None:
    assert with_spread([]) == "-"


def test_report_command_writes_report_and_plots_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    shutil.copy(RECORDED, tmp_path / "result.json")
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.md")
    plots = {path.name for path in tmp_path.glob("*.svg")}
    assert plots == {"overview.svg", "throughput.svg", "latency.svg", "special.svg", "resources.svg"}
    text = (tmp_path / "report.md").read_text()
    for name in plots:
        assert f"]({name})" in text
        ElementTree.parse(tmp_path / name)


def test_compare_command_finds_no_change_between_a_result_and_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(RECORDED), str(RECORDED)]) == 0
    said = capsys.readouterr().out.strip()
    total = said.split(" of ")[0]
    assert said == f"{total} of {total} figures did not change by more than the noise."
