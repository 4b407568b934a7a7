"""Conversion of JSON values to span attributes that the wire formats and the installed SDK accept."""

from __future__ import annotations

import functools
import json
import logging
from typing import Any, Dict, Final

Attributes = Dict[str, Any]

_MAX_DEPTH: Final = 16


def sendable(value: Any, depth: int = 0) -> Any:
    """Convert a JSON ``value`` to one that msgpack and protobuf can encode: no lone surrogates, 64-bit integers, and
    text below the 16th level."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, (list, dict)) and depth == _MAX_DEPTH:
        return str(value)
    if isinstance(value, list):
        return [sendable(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {sendable(key): sendable(item, depth + 1) for key, item in value.items()}
    return value


@functools.lru_cache(maxsize=None)
def takes_any_value() -> bool:
    """Whether the SDK takes null, maps and mixed lists as attributes: only the newest do, others warn and drop them."""
    from opentelemetry.attributes import BoundedAttributes

    logger = logging.getLogger("opentelemetry.attributes")
    was, logger.disabled = logger.disabled, True
    try:
        return "probe" in BoundedAttributes(attributes={"probe": None})
    finally:
        logger.disabled = was


def settable(attributes: Attributes) -> Attributes:
    """Return ``attributes`` for ``Span.set_attributes``: as they are, or for an older SDK without nulls and with JSON
    text in place of values that it would drop."""
    if takes_any_value():
        return attributes
    return {
        key: value if isinstance(value, (str, bool, int, float)) else json.dumps(value)
        for key, value in attributes.items()
        if value is not None
    }
