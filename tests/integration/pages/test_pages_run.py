"""Every command and example of the pages, run as its page says (see ``support.pages``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pages import PAGES, PageRunner, blocks

RUN = ("file", "run", "serve", "output")


RUNNABLE = [page for page in PAGES if any(block.directive in RUN for block in blocks(page))]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_what_a_page_shows_works(page: Path, tmp_path: Path) -> None:
    with PageRunner(tmp_path) as runner:
        for block in blocks(page):
            runner.handle(block)
