"""DRUM's JSON, in which every dict answer and every error is written (contract, 3.3).

Compact, keys sorted at every level, non-ASCII escaped, one newline at the end. NaN and infinities are written as
``null`` (contract, section 8, Q-10), because bare ``NaN`` is not JSON.
"""

from __future__ import annotations

import json
import math
from typing import Any

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def finite(value: Any) -> Any:
    """``value`` with None for NaN and infinities, at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def drum_json(value: Any) -> bytes:
    """``value`` (what ``json`` can write) as DRUM's JSON, in bytes."""
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(finite(value))
    return text.encode("ascii") + b"\n"
