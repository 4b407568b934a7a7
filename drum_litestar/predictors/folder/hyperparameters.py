"""Validation of ``hyperparameters`` in ``model-metadata.yaml``: unused in serving, but DRUM refuses invalid ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from drum_litestar.errors import ModelLoadError

_NAME = re.compile(r"[a-zA-Z](?:[a-zA-Z_]*[a-zA-Z])?")
_NUMBERS: dict[str, Callable[[str], float]] = {"int": int, "float": float}
_COMPONENTS = ("int", "float", "select")
_COMMON = ("name", "type", "default")


def check_hyperparameters(parameters: Any) -> None:
    """Validate ``parameters``. Raises ModelLoadError with DRUM's text for the first invalid one."""
    for parameter in parameters:
        if not isinstance(parameter, dict):
            raise ModelLoadError(f"'{type(parameter).__name__}' object has no attribute 'get'")
        _check(parameter)


def _check(parameter: dict[str, Any]) -> None:
    kind = parameter.get("type")
    if kind is None:
        raise ModelLoadError('"type": "is required"')
    problems: dict[str, Any] = {}
    if "name" not in parameter:
        problems["name"] = "is required"
    if kind in _NUMBERS:
        problems.update(_number_problems(parameter, kind, (*_COMMON, "min", "max")))
    elif kind == "select":
        problems.update(_select_problems(parameter, (*_COMMON, "values")))
    elif kind == "string":
        problems.update(_unknown(parameter, _COMMON))
    elif kind == "multi":
        problems.update(_multi_problems(parameter))
    else:
        raise ModelLoadError("{'type': 'is invalid'}")
    if problems:
        raise ModelLoadError(json.dumps(problems))
    _check_name(parameter["name"])
    if kind in _NUMBERS:
        _check_range(parameter, kind, parameter["name"])
    elif kind == "multi":
        for component, bounds in parameter["values"].items():
            if component in _NUMBERS:
                _check_range(bounds, component, f"{parameter['name']}__{component}")


def _unknown(given: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    return {key: f"{key} is not allowed key" for key in given if key not in known}


def _number_problems(given: dict[str, Any], kind: str, known: tuple[str, ...]) -> dict[str, Any]:
    problems: dict[str, Any] = {}
    for key in ("min", "max", "default"):
        if key in given:
            try:
                _NUMBERS[kind](given[key])
            except (TypeError, ValueError):
                problems[key] = f"value can't be converted to {kind}, got {given[key]!r}"
        elif key != "default":
            problems[key] = "is required"
    return {**problems, **_unknown(given, known)}


def _select_problems(given: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    problems: dict[str, Any] = {}
    if "values" not in given:
        problems["values"] = "is required"
    elif not isinstance(given["values"], list):
        problems["values"] = f"value is not a list, got {given['values']!r}"
    return {**problems, **_unknown(given, known)}


def _multi_problems(parameter: dict[str, Any]) -> dict[str, Any]:
    problems = _unknown(parameter, (*_COMMON, "values"))
    if "values" not in parameter:
        return {**problems, "values": "is required"}
    values = parameter["values"]
    if not isinstance(values, dict):
        return {**problems, "values": f"value is not a dict, got {values!r}"}
    inner: dict[str, Any] = _unknown(values, _COMPONENTS)
    for component, given in values.items():
        if component not in _COMPONENTS:
            continue
        if not isinstance(given, dict):
            inner[component] = f"value is not a dict, got {given!r}"
            continue
        found = (
            _select_problems(given, ("values",))
            if component == "select"
            else _number_problems(given, component, ("min", "max"))
        )
        if found:
            inner[component] = found
    return {**problems, "values": inner} if inner else problems


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ModelLoadError(
            f"Invalid param name: {name}. Only Eng characters and underscore are allowed. "
            "The parameter name should not start or end with the underscore."
        )


def _check_range(given: dict[str, Any], kind: str, name: str) -> None:
    number = _NUMBERS[kind]
    low, high = number(given["min"]), number(given["max"])
    if low >= high:
        raise ModelLoadError(f"Invalid {kind} parameter {name}: max must be greater than min")
    if "default" in given and not low <= number(given["default"]) <= high:
        raise ModelLoadError(f"Invalid {kind} parameter {name}: values must be between [{low}, {high}]")
