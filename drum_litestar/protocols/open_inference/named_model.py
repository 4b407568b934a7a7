"""The model that a path names."""

from __future__ import annotations

from drum_litestar.errors import UnknownModelError, UnsupportedError
from drum_litestar.http.app_options import AnyRequest
from drum_litestar.http.service import ModelService
from drum_litestar.request_state import request_state

_LONGEST_NAME = 60


def require_model(service: ModelService, request: AnyRequest) -> str:
    """The model's name. Raises UnknownModelError if the path names another one, UnsupportedError if it names a
    version."""
    name, *versions = request_state(request.scope).path_values
    served = require_name(service, name)
    if versions:
        raise UnsupportedError(f"model {served!r} has no versions; ask for it without one")
    return served


def require_name(service: ModelService, name: str) -> str:
    """The model's name. Raises UnknownModelError if ``name`` is another one."""
    served = service.options.model_name
    if name != served:
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
        raise UnknownModelError(f"there is no model {shown!r}; this server has {served!r}")
    return served
