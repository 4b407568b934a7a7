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
"""``drum_litestar.execution.queue_limits.Ticket``, taken before the body was read."""

ON_DISCONNECT: Final = "on_disconnect"
"""``Callable[[Callable[[], None]], Callable[[], None]]``: registers a callback for "the client has gone" and
returns its undo. Set by our uvicorn protocol; absent under other servers."""

SPAN: Final = "span"
"""The span of a traced route, a ``RequestSpan`` of ``drum_litestar.observability.tracing.request_span``. Its
``carrier`` goes into the call, the answer goes into its ``answered``."""

BODY_RECEIVED: Final = "body_received"
"""``bool``: the whole body was here when the request's task began, so reading it will not wait. Set by our uvicorn
protocol; absent otherwise."""

PROTOCOL_ANSWER: Final = "protocol_answer"
"""``tuple[int, int]``: status and body bytes that the HTTP protocol itself has sent for this request (whose body
stopped or broke), so that the access log and metrics record what the client saw. Set by our uvicorn protocol; absent
otherwise."""

WITHDRAW: Final = "drum.response.withdraw"
"""Type of an ASGI message that takes back a response of which nothing has been sent yet; ``send`` raises RuntimeError
when it is too late. An extension (``scope["extensions"]``) of our uvicorn protocol."""

OVER_CONNECTION_LIMIT: Final = "over_connection_limit"
"""``bool``: the request came while more connections were open than allowed. Set by our uvicorn protocol; absent
otherwise."""
