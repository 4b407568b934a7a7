"""Keys of an ASGI ``scope["state"]`` that several packages share.

The middleware stack writes them, controllers read them; defined here so that neither imports the other.
"""

from __future__ import annotations

from typing import Final

REQUEST_ID: Final = "request_id"
"""``str``: the accepted or generated request id."""

DEADLINE: Final = "deadline"
"""``float | None``: event-loop time (``loop.time()``) at which the request must be answered; None is never."""

TIMEOUT: Final = "timeout"
"""``float``: the request's timeout in seconds that ``DEADLINE`` comes from, for the 504's text."""

TICKET: Final = "admission_ticket"
"""``drum_litestar.execution.queue_limits.Ticket``, taken before the body was read."""

ON_DISCONNECT: Final = "on_disconnect"
"""``Callable[[Callable[[], None]], Callable[[], None]]``: registers a callback for the client's disconnect and
returns a function that removes it. Set by this package's HTTP protocol; absent under other servers."""

SPAN: Final = "span"
"""The span of a traced route, a ``RequestSpan`` of ``drum_litestar.observability.tracing.request_span``. Its
``carrier`` is sent with the call; its ``answered`` takes the response."""

BODY_RECEIVED: Final = "body_received"
"""``bool``: the whole body had arrived when the request's task began, so reading it does not wait. Set by this
package's HTTP protocol; absent otherwise."""

PROTOCOL_ANSWER: Final = "protocol_answer"
"""``tuple[int, int]``: status and size in bytes of the response that the HTTP protocol itself sent, because the
request's body stopped or was malformed; access log and metrics record it. Set by this package's HTTP protocol; absent
otherwise."""

WITHDRAW: Final = "drum.response.withdraw"
"""Type of the ASGI message that withdraws a response of which no byte has been sent; ``send`` raises RuntimeError when
bytes were sent already. An extension (``scope["extensions"]``) of this package's HTTP protocol."""

OVER_CONNECTION_LIMIT: Final = "over_connection_limit"
"""``bool``: more connections were open than allowed when the request arrived. Set by this package's HTTP protocol;
absent otherwise."""
