"""``scripts/settings_page.py``: docs/settings.md has every setting as it is declared."""

from __future__ import annotations

import pytest
from page_parts import read_part
from settings_page import PAGE, PARTS, SCRIPT, TITLES

from drum_litestar.settings.declaration import declared
from drum_litestar.settings.server_settings import ServerSettings


@pytest.mark.parametrize("part", PARTS)
def test_the_page_is_current(part: str) -> None:
    assert read_part(PAGE.read_text(), SCRIPT, part) == PARTS[part](), f"run: python {SCRIPT} --write"


def test_the_page_has_every_name_of_every_setting() -> None:
    text = PARTS["settings"]()
    options = [setting.option for setting in declared(ServerSettings)]
    names = [name for option in options for name in (*option.names(), option.flag) if name]
    assert not [name for name in names if f"`{name}`" not in text]


def test_every_group_has_a_heading() -> None:
    assert list(TITLES) == list(dict.fromkeys(setting.group for setting in declared(ServerSettings)))
