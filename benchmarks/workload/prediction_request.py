"""A scenario's requests in a contender's format."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass


@dataclass(frozen=True)
class PredictionRequest:
    """POST requests that differ in their bodies only, sent in turn."""

    path: str
    bodies: tuple[bytes, ...]
    content_type: str
    more_headers: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """All headers that the requests bring."""
        return {"Content-Type": self.content_type, **dict(self.more_headers)}

    def to_urllib(self, port: int) -> urllib.request.Request:
        """The first request to a local port, for urllib."""
        return urllib.request.Request(f"http://127.0.0.1:{port}{self.path}", self.bodies[0], self.headers)
