from __future__ import annotations

import pytest

from drum_litestar.server.loop_choice import LoopChoice, choose_loop, installed_uvloop


@pytest.mark.parametrize(
    ("requested", "platform", "python", "uvloop", "name", "text"),
    [
        ("auto", "linux", (3, 11), "0.17.0", "uvloop", None),
        ("auto", "linux", (3, 12), "0.19.0", "uvloop", None),
        ("auto", "linux", (3, 13), "1.0", "uvloop", None),
        ("uvloop", "linux", (3, 13), "0.21.0b1", "uvloop", None),
        ("asyncio", "linux", (3, 13), "0.21.0", "asyncio", None),
        ("auto", "win32", (3, 12), None, "asyncio", None),
        ("uvloop", "win32", (3, 12), None, "asyncio", "Windows"),
        ("auto", "linux", (3, 11), None, "asyncio", "pip install uvloop"),
        ("auto", "linux", (3, 12), "0.18.0", "asyncio", "pip install 'uvloop>=0.20'"),
        ("uvloop", "linux", (3, 13), "0.17.0", "asyncio", "uvloop 0.17.0 does not work on Python 3.13"),
    ],
)
def test_choice(
    requested: str, platform: str, python: tuple[int, int], uvloop: str | None, name: str, text: str | None
) -> None:
    choice = choose_loop(requested, platform=platform, python=python, uvloop=uvloop)
    assert choice.name == name
    assert (choice.warning is None) if text is None else (text in str(choice.warning))


def test_this_machine() -> None:
    expected = "uvloop" if installed_uvloop() else "asyncio"
    assert choose_loop("auto").name == expected
    assert choose_loop("asyncio") == LoopChoice("asyncio")
