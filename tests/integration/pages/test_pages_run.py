"""Every command and example of the pages, run as its page says (see ``support.pages``)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.pages import PAGES, ROOT, PageRunner, blocks

RUN = ("file", "run", "serve", "output")


RUNNABLE = [page for page in PAGES if any(block.directive in RUN for block in blocks(page))]


def installs(page: Path) -> bool:
    """Its commands make environments, which takes minutes."""
    return any(block.directive == "run" and "pip install" in block.text for block in blocks(page))


@pytest.fixture(scope="module")
def package_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A checkout with its history, and an index to install from; skips without one of them."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "hatchling"]
    for command in (["git", "-C", str(ROOT), "rev-parse", "HEAD"], download):
        done = subprocess.run(
            command, cwd=tmp_path_factory.mktemp("index"), capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"{' '.join(command)}: {done.stderr[-500:]}")


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.name, marks=pytest.mark.slow if installs(page) else ()) for page in RUNNABLE],
)
def test_what_a_page_shows_works(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if installs(page):
        request.getfixturevalue("package_index")
    with PageRunner(tmp_path) as runner:
        for block in blocks(page):
            runner.handle(block)
