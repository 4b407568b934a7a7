"""Names of what the rooms leave for each other in an ASGI ``scope["state"]``.

The middleware stack writes them, controllers read them. They live outside both so that neither imports the other.
"""

from __future__ import annotations

from typing import Final

REQUEST_ID: Final = "request_id"
"""``str``: the accepted or generated request id."""

DEADLINE: Final = "deadline"
"""``float | None``: event-loop time (``loop.time()``) at which the request must be answered; None is never."""

TIMEOUT: Final = "timeout"
"""``float``: the allowance in seconds behind ``DEADLINE``, for the 504's text."""

TICKET: Final = "admission_ticket"
"""``drum_litestar.execution.executor.Ticket``: the place in line taken before the body was read."""

ON_DISCONNECT: Final = "on_disconnect"
"""``Callable[[Callable[[], None]], Callable[[], None]]``: registers a callback for "the client has gone" and
returns its undo. Set by our uvicorn protocol; absent under other servers."""
