"""Words for true and false: every rule by which this package reads a boolean from a text.

They differ because DRUM's do. JSON literals (runtime parameters) and what pandas reads as a boolean are not here.
"""

from __future__ import annotations

from typing import Final

TRUE_WORDS: Final = frozenset(("t", "true", "y", "yes", "on", "1", "1.0"))
FALSE_WORDS: Final = frozenset(("false", "n", "no", "off", "0", "none", "0.0"))
"""DRUM's boolean environment variables (contract, 1.3) and class labels (contract, 4.7)."""

WATCHDOG_TRUE_WORDS: Final = frozenset(("true", "1", "yes"))
"""DRUM's ``USE_NIM_WATCHDOG``; any other text is false."""

HOOK_FALSE_WORDS: Final = frozenset(("0", "false", "no", "off"))
"""``DRUM_LITESTAR_HOOK``; any other text is true. ``drum_litestar_hook.pth``, which may not import this module, repeats
them."""


def boolean_word(text: str) -> bool | None:
    """True or False for one of ``TRUE_WORDS`` or ``FALSE_WORDS``, in any case and with blanks around it, else None."""
    word = _normalized(text)
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None


def watchdog_enabled(text: str) -> bool:
    """The value of ``USE_NIM_WATCHDOG``, as DRUM reads it."""
    return _normalized(text) in WATCHDOG_TRUE_WORDS


def hook_allowed(text: str) -> bool:
    """The value of ``DRUM_LITESTAR_HOOK``."""
    return _normalized(text) not in HOOK_FALSE_WORDS


def _normalized(text: str) -> str:
    return text.strip().lower()
