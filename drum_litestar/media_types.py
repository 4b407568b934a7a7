"""Media types: their names, and what requests and answers are asked about them."""

from __future__ import annotations

from typing import Dict, Final, Optional, Sequence, Tuple

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW_STREAM: Final = "application/vnd.apache.arrow.stream"
ARROW_FILE: Final = "application/vnd.apache.arrow.file"
PARQUET: Final = "application/vnd.apache.parquet"
OLD_ARROW_STREAM: Final = "application/x-apache-arrow-stream"
"""The name that clients used before the registered one."""
COLUMNAR: Final = (ARROW_STREAM, ARROW_FILE, PARQUET, OLD_ARROW_STREAM)
EVENT_STREAM: Final = "text/event-stream"
FORM: Final = "multipart/form-data"
URLENCODED: Final = "application/x-www-form-urlencoded"


def split_content_type(value: str) -> Tuple[Optional[str], str]:
    """Media type without parameters (case kept, None when empty) and the text of the parameters."""
    mimetype, _, parameters = value.partition(";")
    return mimetype.strip() or None, parameters


def parameter(parameters: str, name: str) -> Optional[str]:
    """One parameter of a Content-Type; broken quoting is tolerated (contract, 3.5), and the last one
    that is not empty counts, as with DRUM. None when absent or empty."""
    found = None
    for item in parameters.split(";"):
        key, _, value = item.partition("=")
        if key.strip().lower() == name:
            found = value.strip().strip('"') or found
    return found


def is_json(mimetype: Optional[str]) -> bool:
    """``application/json`` or ``application/*+json``, in any case; ``mimetype`` has no parameters."""
    plain = (mimetype or "").strip().lower()
    return plain == JSON or (plain.startswith("application/") and plain.endswith("+json"))


def is_event_stream(content_type: str) -> bool:
    """Server-sent events; ``content_type`` may have parameters."""
    return content_type.startswith(EVENT_STREAM)


def qualities(value: str) -> Dict[str, float]:
    """The items of an ``Accept`` or ``Accept-Encoding`` in lower case, without parameters, with their weights
    (RFC 9110, 12.4.2). An unusable weight is 0."""
    found = {}
    for item in value.split(","):
        name, _, parameters = item.partition(";")
        weight = parameter(parameters, "q") if parameters else None
        if name.strip():
            found[name.strip().lower()] = 1.0 if weight is None else _weight(weight)
    return found


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The type of ``offered`` that an ``Accept`` names with a higher weight than JSON, if it names JSON, and no lower
    one than wildcards that JSON matches; of equal weights, that which is offered first. Empty for JSON."""
    weights = qualities(accept)
    wildcards = max(weights.get("application/*", 0.0), weights.get("*/*", 0.0))
    best = max(offered, key=lambda name: weights.get(name, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > weights.get(JSON, 0.0) and weight >= wildcards else ""


def is_columnar(mimetype: Optional[str]) -> bool:
    """Arrow or Parquet, in any case; ``mimetype`` has no parameters."""
    return (mimetype or "").lower() in COLUMNAR


def columnar_type(head: bytes) -> Optional[str]:
    """The columnar type of a body that begins with ``head``, None for any other body."""
    if head.startswith(b"\xff\xff\xff\xff"):
        return ARROW_STREAM
    if head.startswith(b"ARROW1"):
        return ARROW_FILE
    return PARQUET if head.startswith((b"PAR1", b"PARE")) else None
