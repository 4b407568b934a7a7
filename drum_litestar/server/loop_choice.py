"""Choice of the event loop: uvloop where it works."""

from __future__ import annotations

import sys
from typing import NamedTuple

from drum_litestar.pip_command import install

MINIMUM_ON_312 = (0, 19)
"""Older uvloops crash on Python 3.12 and later."""


class LoopChoice(NamedTuple):
    """uvicorn's name of the loop, and a warning when it is not the requested one."""

    name: str
    warning: str | None = None


def installed_uvloop() -> str | None:
    """uvloop's version, read without importing it: an unsuitable one may crash at import."""
    from importlib import metadata

    try:
        return metadata.version("uvloop")
    except metadata.PackageNotFoundError:
        return None


def choose_loop(
    requested: str,
    *,
    platform: str = sys.platform,
    python: tuple[int, ...] = tuple(sys.version_info[:2]),
    uvloop: str | None = "installed",
) -> LoopChoice:
    """Choose the loop for ``requested``: ``auto``, ``asyncio`` or ``uvloop``.

    ``uvloop`` is the installed version, None without one.
    """
    if requested == "asyncio" or (requested == "auto" and platform == "win32"):
        return LoopChoice("asyncio")
    if platform == "win32":
        return LoopChoice("asyncio", "uvloop does not run on Windows; using asyncio")
    version = installed_uvloop() if uvloop == "installed" else uvloop
    if version is None:
        return LoopChoice("asyncio", f"uvloop is not installed; using asyncio. Install it with: {install('uvloop')}")
    if python >= (3, 12) and _release(version) < MINIMUM_ON_312:
        return LoopChoice(
            "asyncio",
            f"uvloop {version} does not work on Python {'.'.join(map(str, python[:2]))}; using asyncio. "
            f"""Upgrade it with: {install("'uvloop>=0.20'")}""",
        )
    return LoopChoice("uvloop")


def _release(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split(".")[:2]:
        digits = "".join(character for character in part if character.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers)
