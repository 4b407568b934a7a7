"""A scenario's request in a contender's own form."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A POST request."""

    path: str
    body: bytes
    content_type: str

    def request(self, port: int) -> urllib.request.Request:
        """To be sent once."""
        headers = {"Content-Type": self.content_type}
        return urllib.request.Request(f"http://127.0.0.1:{port}{self.path}", self.body, headers)
