"""Conventions of the source: the changelog, the error tree, imports without effects."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import drum_litestar
from drum_litestar import errors

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "drum_litestar").rglob("*.py"))


def test_version_is_the_changelogs_top_entry() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+\S*?)\]?(?:\s|$)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == drum_litestar.__version__


def test_error_tree_is_drawn_whole() -> None:
    """Every exception stands in the docstring's drawing, below its own parent, with its status or exit code."""
    drawn: list[tuple[int, str, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^(?P<indent>[\s│├└─]*)(?P<name>\w+Error)\b(?P<rest>.*)$", line)
        if match:
            drawn.append((len(match["indent"]), match["name"], match["rest"]))
    classes = {
        name: each
        for name, each in vars(errors).items()
        if inspect.isclass(each) and issubclass(each, errors.DrumLitestarError)
    }
    assert sorted(name for _, name, _ in drawn) == sorted(classes)
    above: list[tuple[int, str]] = []
    for indent, name, rest in drawn:
        while above and above[-1][0] >= indent:
            above.pop()
        if above:
            assert classes[name].__bases__[0].__name__ == above[-1][1], name
        above.append((indent, name))
        shown = re.match(r"\s+([45]\d\d)\b", rest)
        if shown:
            assert vars(classes[name])["status"] == int(shown[1]), name


def test_importing_has_no_effects() -> None:
    """Neither logging handlers, nor threads, nor environment changes, nor heavy modules."""
    code = (
        "import logging, os, sys, threading\n"
        "before = dict(os.environ)\n"
        "import drum_litestar\n"
        "assert dict(os.environ) == before\n"
        "assert not logging.getLogger().handlers\n"
        "assert threading.active_count() == 1\n"
        "assert not {'litestar', 'pandas', 'uvicorn'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_nothing_is_left_for_later(word: str) -> None:
    assert not [str(path) for path in SOURCES if re.search(rf"\b{word}\b", path.read_text())]
