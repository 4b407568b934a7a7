"""Sets of request paths: one hash lookup, no string work per request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

PROBE_PATHS: Final = ("/", "/ping", "/health", "/livez", "/readyz", "/startupz")
"""Liveness, readiness and start-up probes, which no middleware refuses."""

EXEMPT_PATHS: Final = (*PROBE_PATHS, "/stats", "/info", "/capabilities", "/metrics")
"""Without rate limit, backpressure and deadline: operators need them most when the server is overloaded."""

MODEL_SPANS: Final = {
    "drum.invocations": ("/predict", "/predictions", "/invocations", "/predictionsStream"),
    "drum.transform": ("/transform",),
    "drum.predictUnstructured": ("/predictUnstructured", "/predictionsUnstructured"),
    "drum.chat.completions": ("/chat/completions", "/v1/chat/completions"),
}
"""Span names (contract, 5.6) and their routes."""

MODEL_PATHS: Final = tuple(path for paths in MODEL_SPANS.values() for path in paths)
"""Routes whose POST runs the model (contract, 3.1), and so needs a ticket before its body is read."""


def path_set(paths: Iterable[str], url_prefix: str = "") -> frozenset[str]:
    """Return every spelling of ``paths`` below ``url_prefix``: with and without a trailing slash (contract, section 8).

    The root is in the set as ``/`` (or ``/prefix`` and ``/prefix/``): spellings are built here, once, because
    stripping slashes from a request's path turns the root into an empty string that no set contains.
    """
    prefix = url_prefix.rstrip("/")
    bare = [prefix + path.rstrip("/") for path in paths]
    return frozenset([spelling for path in bare for spelling in (path, path + "/") if spelling])
