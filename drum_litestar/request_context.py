"""Per-request context that log records and spans read."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

request_id_var: Final[ContextVar[str]] = ContextVar("drum_litestar_request_id", default="")
"""Id of the current request; empty outside a request."""
