"""Media types: their names, and what requests and answers are asked about them."""

from __future__ import annotations

from typing import Dict, Final, Optional, Tuple

JSON: Final = "application/json"
CSV: Final = "text/csv"
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


def prefers_csv(accept: str) -> bool:
    """Whether an ``Accept`` names CSV with a higher weight than JSON, if it names JSON, and no lower one than wildcards
    that JSON matches."""
    weights = qualities(accept)
    csv = weights.pop(CSV, 0.0)
    return csv > weights.get(JSON, 0.0) and csv >= max(weights.get("application/*", 0.0), weights.get("*/*", 0.0))
