"""Media types: their names, and what requests and answers are asked about them."""

from __future__ import annotations

from typing import Final, Optional, Tuple

JSON: Final = "application/json"
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
