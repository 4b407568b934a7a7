"""The pages as a web site: they build without a warning, need nothing from the internet, and nothing in them is
untested without a reason."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from support.pages import LANGUAGES, PAGES, ROOT, blocks

ASSETS = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "use": "href"}
NO_ASSETS = ("canonical", "next", "prev")
"""Links that a browser does not load."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


class _Assets(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        target = values.get(ASSETS.get(tag, ""))
        if target is not None and values.get("rel") not in NO_ASSETS:
            self.found.append(target)


def assets(html: str) -> list[str]:
    parser = _Assets()
    parser.feed(html)
    return parser.found


def test_assets_are_found() -> None:
    """Otherwise the next test would prove nothing."""
    html = '<link rel="stylesheet" href="a.css"><script src="//b/c.js"></script><img src="d.png"><a href="http://e">'
    assert assets(html) == ["a.css", "//b/c.js", "d.png"]


def test_every_page_is_built(site: Path) -> None:
    assert {page.stem for page in PAGES} <= {page.stem for page in site.glob("*.html")}


def test_no_asset_is_on_another_host(site: Path) -> None:
    found = [
        f"{page.relative_to(site)}: {target}"
        for page in site.rglob("*.html")
        for target in assets(page.read_text())
        if re.match(r"(?:[a-z]+:)?//", target)
    ]
    found += [
        f"{sheet.relative_to(site)}: {target}"
        for sheet in site.rglob("*.css")
        for target in re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^)\"']+)", sheet.read_text())
    ]
    assert not found


def test_every_asset_is_there(site: Path) -> None:
    missing = [
        f"{page.name}: {target}"
        for page in site.glob("*.html")
        for target in assets(page.read_text())
        if not (site / target.partition("#")[0].partition("?")[0]).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_untested_without_a_reason(page: Path) -> None:
    assert not [
        f"{block} ({block.language})" for block in blocks(page) if block.language in LANGUAGES and not block.directive
    ]
    for block in blocks(page):
        if block.directive == "tested by":
            assert (ROOT / block.argument).exists(), str(block)
        if block.directive == "not run":
            assert len(block.argument) > 10, f"{block}: no reason"
