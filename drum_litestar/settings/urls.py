"""Validation of ``URL_PREFIX`` and ``DRUM_CORS_ORIGINS``: only values that a request can match."""

from __future__ import annotations

import re
from collections.abc import Collection

from drum_litestar.errors import SettingsError

_NOT_IN_A_PATH = frozenset("?#%{}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._~-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?/?", re.IGNORECASE | re.ASCII)
"""A final slash is allowed; the CORS middleware removes it."""


def check_url_prefix(prefix: str) -> None:
    """Raise SettingsError, one line, for a ``URL_PREFIX`` under which no route is reachable."""
    if not prefix.startswith("/"):
        raise SettingsError(f"URL_PREFIX={prefix!r} must start with a slash")
    for character in prefix:
        if character in _NOT_IN_A_PATH or character.isspace() or not character.isprintable():
            raise SettingsError(
                f"URL_PREFIX={prefix!r} must not contain {character!r}: it is a plain path, without query, fragment, "
                "%-escapes, braces, blanks and control characters"
            )


def check_origins(origins: Collection[str]) -> None:
    """Raise SettingsError, one line, for an entry of ``DRUM_CORS_ORIGINS`` that no ``Origin`` header can match."""
    if not origins:
        raise SettingsError("DRUM_CORS_ORIGINS names no origin")
    for origin in origins:
        if origin.lower() not in ("*", "null") and not _ORIGIN.fullmatch(origin):
            raise SettingsError(
                f"DRUM_CORS_ORIGINS: {origin!r} is no origin that a browser sends "
                "(allowed: scheme://host[:port] without path or wildcard; null; * for all)"
            )
