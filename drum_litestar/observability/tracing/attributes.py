"""Conversion of JSON values to span attributes that the wire formats and the installed SDK accept."""

from __future__ import annotations

import json
import typing
from typing import Any, Dict, Final

from opentelemetry.util.types import AttributeValue

Attributes = Dict[str, Any]

_MAX_DEPTH: Final = 16

TAKES_ANY_VALUE: Final = type(None) in typing.get_args(AttributeValue)
"""Whether the SDK takes null, maps and mixed lists as attributes: only the newest do, others warn and drop them."""


def sendable(value: Any, depth: int = 0) -> Any:
    """Convert a JSON ``value`` to one that msgpack and protobuf can encode: no lone surrogates, 64-bit integers, and
    text below the 16th level, or in place of what is not JSON."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, (list, tuple)) and depth < _MAX_DEPTH:
        return [sendable(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        return {sendable(str(key)): sendable(item, depth + 1) for key, item in value.items()}
    return sendable(str(value))


def settable(attributes: Attributes) -> Attributes:
    """Return ``attributes`` for ``Span.set_attributes``: as they are, or for an older SDK without nulls and with JSON
    text in place of values that it would drop."""
    if TAKES_ANY_VALUE:
        return attributes
    return {
        key: value if isinstance(value, (str, bool, int, float)) else json.dumps(value)
        for key, value in attributes.items()
        if value is not None
    }
