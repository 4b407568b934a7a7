"""The command line: values, error texts, reports."""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from drum_litestar.cli.main import main
from drum_litestar.tools.compare.arguments import (
    add_arguments,
    duration,
    fraction,
    header,
    names,
    patterns,
    shares,
    url,
)
from drum_litestar.tools.compare.diff import Comparison, Difference
from drum_litestar.tools.compare.live.rollout import Event
from drum_litestar.tools.compare.messages import Answer, Request
from drum_litestar.tools.compare.outcomes import Counters, paired
from drum_litestar.tools.compare.reports import junit, page, text
from drum_litestar.tools.compare.reports.summary import Summary, series, summarise
from drum_litestar.tools.compare.verdict import Thresholds, judge

A, B = "http://127.0.0.1:1", "http://127.0.0.1:2"


@pytest.mark.parametrize(
    ("written", "seconds"), [("10m", 600), ("90s", 90), ("500ms", 0.5), ("1h30m", 5400), ("2", 2), ("1.5s", 1.5)]
)
def test_durations(written: str, seconds: float) -> None:
    assert duration(written) == seconds


def test_other_values() -> None:
    assert fraction("0.1%") == fraction("0.001") == 0.001
    assert shares("1, 5%,100") == (1.0, 5.0, 100.0)
    assert url("https://host:8443/prefix/") == "https://host:8443/prefix"
    assert header("Authorization: Bearer a:b") == ("Authorization", "Bearer a:b")
    assert names("Content-Type, X-A") == ("content-type", "x-a")
    assert names("") == patterns("") == ()
    assert patterns("/a/, */stats") == ("/a", "*/stats")


@pytest.mark.parametrize(
    ("reader", "written"),
    [
        (duration, "10x"), (duration, "-1"), (duration, "m"), (duration, "inf"), (duration, "1m x"),
        (fraction, "a%"), (fraction, "-1%"), (fraction, "nan"),
        (shares, "5,1"), (shares, "0,1"), (shares, "1,101"), (shares, ""), (shares, "1,1"), (shares, "nan"),
        (url, "localhost:8080"), (url, "ftp://a"), (url, "http://a:b"), (url, "http://"), (url, "http://u@a"),
        (header, "nonsense"),
    ],
)  # fmt: skip
def test_unusable_values(reader: object, written: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        reader(written)  # type: ignore[operator]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Standard error of a command that must end with 2."""
    assert main(["compare", *arguments]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--baseline", A), "one of the arguments --corpus --record --shadow --canary is required"),
        (("--candidate", B, "--shadow"), "required: --baseline"),
        (("--baseline", A, "--corpus", "c"), "--candidate is missing"),
        (("--baseline", A, "--candidate", A, "--shadow"), "same URL"),
        (("--baseline", A, "--candidate", B, "--record", "c"), "leave --candidate out"),
        (("--baseline", A, "--record", "c", "--json", "r"), "there is no report"),
        (("--baseline", A, "--candidate", B, "--canary", "1", "--duration", "1s"), "--exit-when-done"),
        (("--baseline", A, "--candidate", B, "--shadow", "--json", "/no/such/r.json"), "its folder does not exist"),
        (("--baseline", A, "--candidate", B, "--corpus", "c", "--repeat", "0"), "at least 1"),
        (("--baseline", A, "--candidate", B, "--corpus", "absent.jsonl"), "no such file or folder"),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str) -> None:
    assert words in said(capsys, *arguments)


def test_server_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    with socket.create_server(("127.0.0.1", 0)) as bound:
        gone = f"http://127.0.0.1:{bound.getsockname()[1]}"
    text = said(capsys, "--baseline", gone, "--candidate", B, "--corpus", str(tmp_path))
    assert f"--baseline {gone}: cannot connect: Connection refused. Start that server" in text


@pytest.mark.parametrize("package", ["httpx", "matplotlib"])
def test_missing_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    arguments = ("--baseline", A, "--candidate", B, "--corpus", "c", "--html", str(tmp_path / "r.html"))
    text = said(capsys, *arguments)
    assert f"needs the package '{package}'" in text
    assert "pip install httpx rich matplotlib" in text


@pytest.fixture
def summary() -> tuple[Summary, Counters]:
    counters = Counters(keep_cases=True)
    hostile = Request("<b>&\x01", "POST", "/predict/")
    for number in range(20):
        difference = (Difference("body 0", "<script>", "\x02"),) if number == 7 else ()
        counters.count(paired(hostile, Answer(200, seconds=0.01), Answer(200, seconds=0.011), difference))
    counters.count(paired(hostile, Answer(200, seconds=0.01), Answer(0, error="reset"), ()))
    counters.not_compared["too large"] += 2
    comparison = Comparison(rtol=1e-6, largest_absolute=float("inf"), largest_relative=2.0)
    events = [Event("2026-01-01T00:00:00+00:00", 1.0, "one"), Event("2026-01-01T00:00:09+00:00", 0.0, "two")]
    made = summarise(
        counters, comparison, judge(counters, Thresholds()), mode="replay", urls=(A, B),
        started="2026-01-01T00:00:00+00:00", seconds=1.5, events=events, notes=["a note"],
    )  # fmt: skip
    return made, counters


def test_text_report(summary: tuple[Summary, Counters]) -> None:
    lines = text.render(summary[0]).splitlines()
    assert lines[-1] == "FAIL"
    assert any(line.startswith("  FAIL mismatches 1 (limit <= 0)") for line in lines)
    assert any("20 x 200, 1 x no answer" in line for line in lines)
    assert "  not compared: 2 (too large)" in lines


def test_json_report(summary: tuple[Summary, Counters]) -> None:
    report = json.loads(msgspec.json.encode(summary[0]))
    assert report["passed"] is False
    assert report["largest_absolute_drift"] is None
    assert report["candidate"]["latency"] == {"p50": 0.011, "p95": 0.011, "p99": 0.011}
    assert len(report["cases"]) == 21


def test_junit_report(summary: tuple[Summary, Counters]) -> None:
    thresholds, requests = ET.fromstring(junit.render(summary[0]))
    assert (thresholds.get("tests"), thresholds.get("failures")) == ("5", "2")
    assert (requests.get("tests"), requests.get("failures")) == ("21", "2")
    assert requests.find("testcase/failure").get("message") == "body 0: <script> -> \ufffd"  # type: ignore[union-attr]


def test_html_report_is_escaped_and_self_contained(summary: tuple[Summary, Counters]) -> None:
    html = page.render(summary[0], series(summary[1]))
    assert html.count("<svg") == 3
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    for outside in ("src=", "<link", "@import", "url(http"):
        assert outside not in html


def test_help_and_refusals_need_no_extra() -> None:
    """Parsing imports no package of the extra; only a run needs it."""
    code = (
        "import sys\n"
        "from drum_litestar.tools.compare import arguments, compare_command\n"
        "assert not {'httpx', 'rich', 'matplotlib', 'uvicorn'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_help_says_what_is_expected() -> None:
    """No metavar repeats its option; defaults are in the help text, and so is the format of durations."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for action in parser._actions:
        if action.nargs == 0:
            continue
        assert str(action.metavar).replace("_", "-").lower() != action.option_strings[-1].lstrip("-"), action
        assert action.metavar is not None, action
        if action.default not in (None, []):
            assert "default" in str(action.help), action
    shown = {action.dest: str(action.help) for action in parser._actions}
    assert "content-type,x-drum-user-http-error" in shown["compare_headers"]
    assert "drum-litestar-canary.json" in shown["state"]
    for option in ("hold", "duration", "timeout"):
        assert "10m or 1h" in shown[option]


def test_default_headers_and_none() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = ("--baseline", A, "--shadow")
    assert parser.parse_args(given).compare_headers == ("content-type", "x-drum-user-http-error")
    assert parser.parse_args([*given, "--compare-headers", ""]).compare_headers == ()
