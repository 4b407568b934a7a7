"""Validation of runtime parameters, with the nested error texts that DRUM shows (contract, 2.1 and 2.4).

DRUM describes failed alternatives as ``{0: DataError('...'), 1: DataError('...')}``: the ``repr`` of a dict whose
values are errors, nested as text inside text. :class:`Fault` has that ``repr``, so plain dicts give these texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

Check = Callable[[Any], "str | None"]
"""Returns the error text for a value, or None."""

NO_VARIANT = "value doesn't match any variant"
REQUIRED = "is required"
NOT_A_DICT = "value is not a dict"
TYPES = ("string", "boolean", "numeric", "credential", "deployment")
"""In DRUM's order."""


class Fault:
    """An error text whose ``repr`` is ``DataError('text')``."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"DataError({self.text!r})"


def faults(errors: Mapping[Any, str | None]) -> str | None:
    """Text of several errors; None when there is none."""
    found = {key: Fault(text) for key, text in errors.items() if text is not None}
    return repr(found) if found else None


def alternatives(*errors: str | None) -> str | None:
    """None when one alternative has no error, else the text of all errors."""
    return None if None in errors else faults(dict(enumerate(errors)))


def text_fault(value: Any) -> str | None:
    """Error of a value that must be a non-empty string."""
    if not isinstance(value, str):
        return "value is not a string"
    return None if value else "blank value is not allowed"


def null_fault(value: Any) -> str | None:
    return None if value is None else "value should be None"


def float_fault(value: Any, minimum: Any = None, maximum: Any = None) -> str | None:
    """Error of a value that ``float()`` must accept, within bounds that the text shows as they were written."""
    try:
        number = float(value)
    except TypeError:
        return "value is not float"
    except ValueError:
        return "value can't be converted to float"
    if minimum is not None and number < float(minimum):
        return f"value is less than {minimum}"
    if maximum is not None and number > float(maximum):
        return f"value is greater than {maximum}"
    return None


def _boolean_fault(value: Any) -> str | None:
    return None if isinstance(value, bool) else "value should be True or False"


def _credential_fault(value: Any) -> str | None:
    if not isinstance(value, dict):
        return NOT_A_DICT
    if "credentialType" not in value:
        return faults({"credentialType": REQUIRED})
    return faults({"credentialType": text_fault(value["credentialType"])})


_CHECKS: dict[str, Check] = {
    "string": text_fault,
    "boolean": _boolean_fault,
    "numeric": float_fault,
    "credential": _credential_fault,
    "deployment": text_fault,
}


def payload_fault(kind: str, payload: Any, minimum: Any = None, maximum: Any = None) -> str | None:
    """Error of a payload of type ``kind``; null is always allowed. Bounds apply to ``numeric`` only."""
    bounded = kind == "numeric" and (minimum is not None or maximum is not None)
    fault = float_fault(payload, minimum, maximum) if bounded else _CHECKS[kind](payload)
    return alternatives(null_fault(payload), fault)


def parameter_fault(value: Any) -> str | None:
    """Error of a decoded ``{"type": ..., "payload": ...}``; None when one type accepts it.

    DRUM tries its types as nested pairs, ``((((string, boolean), numeric), credential), deployment)``, and its texts
    show that nesting.
    """
    text = _variant_fault(TYPES[0], value)
    for kind in TYPES[1:]:
        text = alternatives(text, _variant_fault(kind, value))
    return text


def _variant_fault(kind: str, value: Any) -> str | None:
    if not isinstance(value, dict):
        return NOT_A_DICT
    errors: dict[Any, str | None] = {
        "payload": payload_fault(kind, value["payload"]) if "payload" in value else REQUIRED,
        "type": REQUIRED if "type" not in value else None if value["type"] == kind else NO_VARIANT,
    }
    errors.update({key: f"{key} is not allowed key" for key in value if key not in ("payload", "type")})
    return faults(errors)
