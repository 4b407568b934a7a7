"""Runtime parameters: environment variables ``MLOPS_RUNTIME_PARAM_<NAME>`` (contract, 2.1).

User code calls :func:`has` and :func:`get` as class methods of ``datarobot_drum.RuntimeParameters``, so they are as
strict as DRUM's. The server's own settings also accept bare values; see :mod:`drum_litestar.settings.resolve`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from drum_litestar.settings.runtime_params.parameter_validation import parameter_fault

PREFIX = "MLOPS_RUNTIME_PARAM_"
_LITERALS = {"": None, "null": None, "true": True, "false": False}


class RuntimeParameterError(ValueError):
    """A runtime parameter is absent or malformed; the message is DRUM's."""


def variable(name: str) -> str:
    """The environment variable that carries parameter ``name`` (case-sensitive)."""
    return PREFIX + name


def parse(text: str) -> dict[str, Any]:
    """Parse and validate the ``{"type": ..., "payload": ...}`` of one variable. Raises RuntimeParameterError."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise RuntimeParameterError(f"Invalid runtime parameter json payload. payload={text}") from error
    fault = parameter_fault(value)
    if fault is not None:
        raise RuntimeParameterError(f"Invalid runtime parameter! env_value={value}, exception: {fault}, ")
    parameter: dict[str, Any] = value
    return parameter


def read_bare(text: str | None) -> Any:
    """Parse a payload for the server's own settings: the platform's JSON, or a bare value typed in a shell (``300``,
    ``litestar``, ``true``).

    None for an empty text or null, which is how the platform passes parameters without a value. Bare values are str,
    except ``true`` and ``false``, which are bool. Raises RuntimeParameterError for a malformed object.
    """
    text = (text or "").strip()
    if text.startswith("{"):
        return parse(text)["payload"]
    if text in _LITERALS:
        return _LITERALS[text]
    if text.startswith('"'):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def has(name: str, environ: Mapping[str, str] | None = None) -> bool:
    """Whether the variable exists, whatever its value."""
    return variable(name) in (os.environ if environ is None else environ)


def get(name: str, environ: Mapping[str, str] | None = None) -> Any:
    """Payload of parameter ``name``, a JSON value: ``None``, bool, int, float, str or dict.

    Raises RuntimeParameterError when the parameter does not exist or is malformed.
    """
    text = (os.environ if environ is None else environ).get(variable(name))
    if text is None:
        raise RuntimeParameterError(f"Runtime parameter '{name}' does not exist!")
    return parse(text)["payload"]
