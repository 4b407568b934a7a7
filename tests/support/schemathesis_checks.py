"""Schemathesis' own idea of a server error, made DRUM's. It imports this as ``SCHEMATHESIS_HOOKS`` says."""

from __future__ import annotations

from typing import Any

import schemathesis

PREFIX = "ERROR: "
"""Of what DRUM answers with 500 when the model fails, as it may for data of its own columns: a text where it has
learned numbers, or a missing value."""


@schemathesis.check
def no_fault_of_the_server(ctx: Any, response: Any, case: Any) -> None:
    """No status of 500 or above, but where the model itself has refused the data."""
    if response.status_code < 500:
        return
    body = response.json() if response.status_code == 500 else {}
    text = str(body.get("message", body.get("error", response.text)))
    assert text.startswith(PREFIX), f"{response.status_code}: {text}"
