"""``DRUM_INFO_SERVER``: the value of ``drumServer`` in ``/info/``."""

from __future__ import annotations

import pytest

from drum_litestar.errors import SettingsError
from drum_litestar.settings.resolve import resolve


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "litestar"),
        ({"DRUM_INFO_SERVER": ""}, "litestar"),
        ({"DRUM_INFO_SERVER": " flask "}, "flask"),
        ({"DRUM_INFO_SERVER": "gunicorn/21.2"}, "gunicorn/21.2"),
        ({"MLOPS_RUNTIME_PARAM_DRUM_INFO_SERVER": '{"type": "string", "payload": "flask"}'}, "flask"),
    ],
)
def test_one_word(environ: dict[str, str], name: str) -> None:
    assert resolve({}, environ).settings.listen.info_server == name


@pytest.mark.parametrize("value", ["two words", "a\tb", "fl\u00e4sk", "a\x1bb", "a\nb"])
def test_anything_else_is_an_error_that_says_what_is_allowed(value: str) -> None:
    with pytest.raises(
        SettingsError, match=r"(?s)DRUM_INFO_SERVER.*is not one word \(allowed: one word of printable ASCII\)"
    ):
        resolve({}, {"DRUM_INFO_SERVER": value})
