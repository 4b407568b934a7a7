"""Reading one value: from an environment variable's text or a runtime parameter's payload to a setting's type."""

from __future__ import annotations

import math
from typing import Any

from drum_litestar.settings.address import Address, parse_address
from drum_litestar.settings.options import Declared

TRUE_WORDS = frozenset(("t", "true", "y", "yes", "on", "1", "1.0"))
FALSE_WORDS = frozenset(("false", "n", "no", "off", "0", "none", "0.0"))
"""The words that DRUM's boolean environment variables understand, in any case (contract, 1.3)."""


class BadValueError(ValueError):
    """A value that cannot be used; the text completes "value 'x' ..."."""


def boolean_word(text: str) -> bool | None:
    """True or False when ``text`` is one of the words, else None."""
    word = text.strip().lower()
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None


def read_value(setting: Declared, raw: Any) -> Any:
    """``raw`` (a str, or any JSON value of a runtime parameter) as the type that ``setting`` declares.

    Fractions of whole-number settings are cut off, as DRUM does (contract, 2.2). Raises BadValueError.
    """
    kind = setting.kind
    if kind is bool:
        return _boolean(raw)
    if kind in (int, float):
        return _number(setting, raw)
    text = _text(setting, raw)
    if setting.choices:
        return _choice(setting, text)
    if kind is Address:
        try:
            return parse_address(text)
        except ValueError as error:
            raise BadValueError(f"is not an address: {error}") from error
    if setting.option.word and not (text.isascii() and text.isprintable() and len(text.split()) == 1):
        raise BadValueError("is not one word")
    if kind is tuple:
        return tuple(part for part in (part.strip() for part in text.split(",")) if part)
    return text


def is_blank(raw: Any) -> bool:
    """Whether a secret, as text or as a credential, has nothing in it."""
    secret = _secret(raw)
    return secret is None or (isinstance(secret, str) and not secret.strip())


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    value = boolean_word(str(raw))
    if value is None:
        raise BadValueError("is not a boolean")
    return value


def _number(setting: Declared, raw: Any) -> int | float:
    try:
        number = float(raw)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadValueError("is not a number") from error
    if not math.isfinite(number):
        raise BadValueError("is not a finite number")
    value = int(number) if setting.kind is int else number
    option = setting.option
    too_low = (option.low is not None and value < option.low) or (option.above is not None and value <= option.above)
    if too_low or (option.high is not None and value > option.high):
        raise BadValueError("is out of range")
    return value


def _secret(raw: Any) -> Any:
    """What a credential, the platform's way to hand over a secret, has in it; anything else as it is."""
    return raw.get("apiToken") or raw.get("password") if isinstance(raw, dict) else raw


def _text(setting: Declared, raw: Any) -> str:
    if setting.option.secret:
        raw = _secret(raw)
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise BadValueError("is not text")
    return str(raw).strip() if not setting.option.secret else str(raw)


def _choice(setting: Declared, text: str) -> str:
    word = text.lower()
    word = dict(setting.option.synonyms).get(word, word)
    if word not in setting.choices:
        raise BadValueError("is not one of the choices")
    return word
