"""All routes that the server has of its own."""

from __future__ import annotations

from typing import Final

from drum_litestar.http.routes import ROUTES
from drum_litestar.protocols.open_inference.inference_routes import OPEN_INFERENCE_ROUTES
from drum_litestar.route_table import Route

PROTOCOL_ROUTES: Final[tuple[Route, ...]] = OPEN_INFERENCE_ROUTES
"""Those of other protocols than DRUM's."""

ALL_ROUTES: Final = (*ROUTES, *PROTOCOL_ROUTES)

PROBE_ROUTES: Final = tuple(route for route in ALL_ROUTES if route.is_polled)
"""What is also served on the port of the probes: nothing there calls the model or tells of it, but by its metrics."""
