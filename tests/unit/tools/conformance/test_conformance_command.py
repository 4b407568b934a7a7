"""The conformance suite itself: it passes a server that keeps the rules, and names the rule that another breaks."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.cli.main import main
from drum_litestar.tools.conformance.catalogue import CASES
from drum_litestar.tools.conformance.element_types import DATATYPES, from_bytes, misfit, sample, to_bytes
from support.servers.infer_server import METADATA, infer_server

BROKEN = {
    "error-key": "errors/object",
    "crash": "bad/not-json",
    "no-length": "binary/length-header",
    "unannounced": "binary/announced",
    "bytes-left": "bad/bytes-left",
    "big-endian": "binary/inputs",
    "no-nesting": "infer/flat-and-nested",
    "any-count": "bad/too-many",
    "precedence": "binary/precedence",
    "json-only": "binary/outputs",
    "no-id": "infer/id",
    "nulls": "infer/no-nulls",
    "first-output": "infer/all-outputs",
    "names": "infer/answer",
}
"""Faults of the reference server, and the case that must fail."""


def run(*arguments: str) -> int:
    return main(["conformance", *arguments, "--model", "sums", "--mutations", "20"])


def failed(path: Path) -> list[str]:
    report = json.loads(path.read_bytes())
    return [each["name"] for each in report["results"] if each["outcome"] == "fail"]


def test_a_server_that_keeps_every_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with infer_server() as url:
        code = run(url, "--strict", "--json", str(tmp_path / "a.json"), "--junit", str(tmp_path / "a.xml"))
    printed = capsys.readouterr().out
    assert failed(tmp_path / "a.json") == []
    assert (code, printed.splitlines()[-1]) == (0, "PASS")
    assert all(f" {case.name} " in printed for case in CASES)
    report = json.loads((tmp_path / "a.json").read_bytes())
    assert (report["server"], report["passed"]) == ("reference 1", True)
    not_applicable = {each["name"]: each["detail"] for each in report["results"] if each["outcome"] == "n/a"}
    assert not_applicable["binary/raw"] == "the model has several inputs"
    assert sum(counts["n/a"] for counts in report["totals"].values()) == len(not_applicable)
    suites = ET.parse(tmp_path / "a.xml").getroot()
    assert sum(int(suite.get("tests", "")) for suite in suites) == len(CASES)
    assert len(suites.findall(".//skipped")) == len(not_applicable)
    assert not suites.findall(".//failure")


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_rule_is_found(fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = next(case for case in CASES if case.name == BROKEN[fault])
    report = tmp_path / "report.json"
    with infer_server(fault) as url:
        codes = [run(url, "--only", case.name, *more) for more in ((), ("--strict", "--json", str(report)))]
    assert failed(report) == [case.name]
    assert codes == [0 if case.level == "recommended" else 1, 1]
    assert case.rule in capsys.readouterr().out


def test_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with infer_server() as url:
        for arguments, text in (
            ((url, "--only", "nothing"), "no case has such a name. The groups are server, model, infer, binary"),
            ((url, "--junit", str(tmp_path / "no" / "a.xml")), "its folder does not exist"),
            ((url, "--example", str(tmp_path / "none.json")), "cannot be read"),
            ((f"{url}/prefix",), "GET /v2/models/sums is answered by 404"),
        ):
            assert run(*arguments) == 2
            assert text in capsys.readouterr().err
        (tmp_path / "bad.json").write_text(
            json.dumps({"inputs": [{**METADATA["inputs"][1], "shape": [1], "data": [1]}]})
        )
        assert run(url, "--example", str(tmp_path / "bad.json")) == 2
        assert "the example is refused: 400" in capsys.readouterr().err
        for element, problem in ((None, "None is no FP32"), (1e300, "float too large")):
            tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [element]}
            (tmp_path / "bad.json").write_text(json.dumps({"inputs": [tensor]}))
            assert run(url, "--example", str(tmp_path / "bad.json")) == 2
            assert f"input 'x' of the example: {problem}" in capsys.readouterr().err
    assert run(url) == 2
    assert "no answer from the server" in capsys.readouterr().err


def test_an_example_takes_the_place_of_the_metadata(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = [
        {"name": "x", "datatype": "FP64", "shape": [3, 2], "data": [[1, 2], [3, 4], [5, 6]]},
        {"name": "n", "datatype": "INT32", "shape": [3], "data": [1, 2, 3]},
    ]
    (tmp_path / "example.json").write_text(json.dumps({"inputs": inputs}))
    with infer_server() as url:
        assert run(url, "--example", str(tmp_path / "example.json"), "--only", "infer/*", "--strict") == 0


@pytest.mark.parametrize("name", DATATYPES)
def test_elements_survive_bytes(name: str) -> None:
    datatype = DATATYPES[name]
    elements = sample(datatype, 5)
    assert not any(misfit(datatype, each) for each in elements)
    back = from_bytes(datatype, to_bytes(datatype, elements))
    assert back == [each.encode() if isinstance(each, str) else each for each in elements]


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("BOOL", 1),
        ("UINT8", 256),
        ("UINT8", -1),
        ("INT64", 2**63),
        ("INT8", True),
        ("INT8", 1.0),
        ("FP32", "1"),
        ("BYTES", 1),
    ],
)
def test_elements_of_other_types_are_told(name: str, element: Any) -> None:
    assert misfit(DATATYPES[name], element)


@pytest.mark.parametrize(
    ("name", "data"),
    [("INT32", b"\0" * 5), ("BOOL", b"\2"), ("BYTES", b"\1\0"), ("BYTES", b"\2\0\0\0a"), ("BYTES", b"\xff" * 4)],
)
def test_bytes_that_are_no_elements(name: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes|BYTES|BOOL"):
        from_bytes(DATATYPES[name], data)
