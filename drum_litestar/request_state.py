"""What one request carries from the socket to the model and back: a typed object in ``scope["state"]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from drum_litestar.drum_json import drum_json
from drum_litestar.route_table import OTHER, Route

_KEY: Final = "drum_litestar"

REQUEST_ID: Final = "request_id"
"""Key of ``scope["state"]`` under which extensions find the request's id."""

WITHDRAW: Final = "drum.response.withdraw"
"""Type of the ASGI message that withdraws a response of which no byte has been sent; ``send`` raises RuntimeError when
bytes were sent already. An extension (``scope["extensions"]``) of this package's HTTP protocol."""


class Place(Protocol):
    """A request's place among the calls of the model; see :class:`drum_litestar.execution.queue_limits.Place`."""

    def take(self) -> Any:
        """Take it, or return the ticket that has been taken. Raises RequestError."""

    def give_back(self) -> None:
        """Idempotent."""


class Span(Protocol):
    """The span of a traced request; see ``drum_litestar.observability.tracing.request_span``."""

    @property
    def carrier(self) -> dict[str, str]:
        """The trace context that is sent with the call."""

    def answered(self, head: Any) -> None:
        """Take the response's head."""

    def fail(self, message: str) -> None:
        """Mark the span as failed."""


@dataclass(slots=True)
class RequestState:
    """One request. Each field says who sets it; the defaults hold where that part is absent."""

    request_id: str = ""
    """Accepted or generated. Set by the outermost middleware, as is :attr:`route`."""
    route: Route = OTHER
    path_template: str | None = None
    """The path in its one spelling; None if it is in no row of the table, or has a part that varies."""
    path_values: tuple[str, ...] = ()
    """The segments of the path that vary."""
    deadline: float | None = None
    """Event-loop time at which the request must be answered; None is never. Set by the deadline's middleware."""
    timeout: float | None = None
    """Seconds that :attr:`deadline` comes from, for the 504's text. The listener sets the client's own timeout, if the
    protocol has one."""
    place: Place | None = None
    """Set by the admission middleware, its owner, for the routes that call the model."""
    span: Span | None = None
    """Set by the tracing middleware, for the traced routes."""
    resources: Any = None
    """What the application must close when the response has been sent; it awaits their ``aclose``."""
    body_received: bool = False
    """The whole body had arrived when the request's task began, so reading it does not wait. Set by our HTTP protocol,
    as are the next ones."""
    on_disconnect: Callable[[Callable[[], None]], Callable[[], None]] | None = None
    """Registers a callback for the client's disconnect and returns a function that removes it. None under another
    server."""
    over_connection_limit: bool = False
    """More connections were open than allowed when the request arrived."""
    protocol_answer: tuple[int, int] | None = None
    """Status and size in bytes of the response that the protocol itself sent, because the request's body stopped or was
    malformed; access log and metrics record it."""


def request_state(scope: Any) -> RequestState:
    """The state of the HTTP request with this ASGI scope, made if no part has made it before."""
    state: dict[str, Any] | None = scope.get("state")
    if state is None:
        state = scope["state"] = {}
    found: RequestState | None = state.get(_KEY)
    if found is None:
        found = state[_KEY] = RequestState()
    return found


def error_json(scope: Any, body: dict[str, Any]) -> bytes:
    """``body`` of an error, with its text under ``message``, in the form that clients of the request's route read."""
    key = request_state(scope).route.error_key
    return drum_json(body if key == "message" else {key: body["message"]})
