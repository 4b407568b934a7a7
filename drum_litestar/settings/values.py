"""Parsing of one value: an environment variable's text or a runtime parameter's payload, to a setting's type."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final

from drum_litestar.settings.address import Address, parse_address
from drum_litestar.settings.boolean_words import boolean_word
from drum_litestar.settings.declaration import Declared

SIZE_UNITS: Final = {
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)},
}
"""Bytes in each unit of a size. Input may use any case and omit the B."""

_SIZE: Final = re.compile(r"([+-]?[0-9]*\.?[0-9]*(?:e[+-]?[0-9]{1,3})?) *([a-z]*)", re.IGNORECASE)
_BYTES_IN: Final[dict[str, int]] = {
    **dict.fromkeys(("", "b", "byte", "bytes"), 1),
    **{name.lower(): size for unit, size in SIZE_UNITS.items() for name in (unit, unit.removesuffix("B"))},
}
LARGEST_SIZE: Final = (1 << 63) - 1


class BadValueError(ValueError):
    """An invalid value; the text completes "value 'x' ..."."""


def read_value(setting: Declared, raw: Any) -> Any:
    """Convert ``raw`` (a str, or any JSON value of a runtime parameter) to the type that ``setting`` declares.

    Fractions of whole-number settings are truncated, as in DRUM (contract, 2.2). A size is a number of bytes, or one
    with a unit: ``100MB`` (1000 * 1000), ``1.5 GiB`` (1024 * 1024 * 1024). Raises BadValueError.
    """
    kind = setting.kind
    if kind is bool:
        return _boolean(raw)
    if setting.option.auto and isinstance(raw, str) and raw.strip().lower() == "auto":
        return None
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
    """Whether a secret, given as text or as a credential, is empty."""
    secret = _secret(raw)
    return secret is None or (isinstance(secret, str) and not secret.strip())


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    value = boolean_word(str(raw))
    if value is None:
        raise BadValueError("is not a boolean")
    return value


def exact_number(setting: Declared, raw: Any) -> float | Decimal:
    """Parse ``raw`` as a number, without truncating a fraction. Raises BadValueError."""
    if setting.is_size and isinstance(raw, str):
        return _size(raw.strip())
    try:
        number = float(raw)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadValueError("is not a size" if setting.is_size else "is not a number") from error
    if not math.isfinite(number):
        raise BadValueError("is not a finite number")
    return number


def _size(text: str) -> Decimal:
    match = _SIZE.fullmatch(text)
    if match is None or match[2].lower() not in _BYTES_IN:
        raise BadValueError("is not a size")
    try:
        return Decimal(match[1]) * _BYTES_IN[match[2].lower()]
    except ArithmeticError as error:
        raise BadValueError("is not a size") from error


def shown_size(size: int) -> str:
    """Format ``size`` bytes in the largest unit without a fraction; :func:`read_value` parses the result."""
    for unit, unit_size in sorted(SIZE_UNITS.items(), key=lambda item: -item[1]):
        if size >= unit_size and size % unit_size == 0:
            return f"{size // unit_size}{unit}"
    return f"{size} bytes"


def _number(setting: Declared, raw: Any) -> int | float:
    number = exact_number(setting, raw)
    option = setting.option
    if setting.is_size and number > LARGEST_SIZE:
        raise BadValueError("is out of range")
    value = int(number) if setting.kind is int else float(number)
    too_low = (option.low is not None and value < option.low) or (option.above is not None and value <= option.above)
    if too_low or (option.high is not None and value > option.high):
        raise BadValueError("is out of range")
    return value


def _secret(raw: Any) -> Any:
    """The secret of a credential (the platform's JSON object for one); any other value unchanged."""
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
