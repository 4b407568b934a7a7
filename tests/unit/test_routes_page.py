"""``scripts/routes_page.py``: docs/routes.md has every documented route."""

from __future__ import annotations

from page_parts import read_part
from routes_page import PAGE, PART, SCRIPT, routes


def test_the_page_is_current() -> None:
    assert read_part(PAGE.read_text(), SCRIPT, PART) == routes(), f"run: python {SCRIPT} --write"
