"""``--runtime-params-file``: values for the parameters that ``model-metadata.yaml`` defines (contract, 2.4)."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from drum_litestar.errors import StartupError
from drum_litestar.settings.runtime_params import parameters as runtime_params
from drum_litestar.settings.runtime_params.parameter_validation import (
    NO_VARIANT,
    NOT_A_DICT,
    REQUIRED,
    TYPES,
    alternatives,
    faults,
    float_fault,
    null_fault,
    payload_fault,
    text_fault,
)

METADATA_FILE = "model-metadata.yaml"
_SECTION = "runtimeParameterDefinitions"


class Definition(msgspec.Struct, frozen=True):
    """One entry of ``runtimeParameterDefinitions``. Bounds are not converted, because error texts show them."""

    name: str
    kind: str
    default: Any = None
    minimum: Any = None
    maximum: Any = None


def load(values_file: str | Path, code_dir: str | Path, environ: MutableMapping[str, str]) -> list[str]:
    """Write every defined parameter into ``environ`` as ``MLOPS_RUNTIME_PARAM_<NAME>`` and return the names.

    A parameter without a value gets its default, or null; a value without a definition is dropped. Raises
    StartupError with DRUM's text, before anything is written, when a value is invalid.
    """
    values = _mapping(Path(values_file), "Runtime parameter values YAML file", "runtime parameter values")
    written: dict[str, str] = {}
    for definition in definitions(code_dir):
        payload = values.get(definition.name, definition.default)
        fault = payload_fault(definition.kind, payload, definition.minimum, definition.maximum)
        if fault is not None:
            raise StartupError(f"Failed to load runtime parameter '{definition.name}'. {faults({'payload': fault})}")
        try:
            text = json.dumps({"payload": payload, "type": definition.kind})
        except TypeError as error:
            raise StartupError(f"Failed to load runtime parameter '{definition.name}'. {error}") from error
        written[definition.name] = text
    environ.update({runtime_params.variable(name): text for name, text in written.items()})
    return list(written)


def definitions(code_dir: str | Path) -> list[Definition]:
    """Read the parameters that ``model-metadata.yaml`` defines. Raises StartupError with DRUM's text."""
    path = Path(code_dir) / METADATA_FILE
    if not path.is_file():
        raise StartupError(f"{METADATA_FILE} must exist to use runtime parameters")
    section = _mapping(path, "Model-metadata YAML file", "model-metadata").get(_SECTION)
    if not section:
        raise StartupError(
            f"{METADATA_FILE}: YAML file must contain at least one parameter definition in the section '{_SECTION}'"
        )
    found: dict[str, Definition] = {}
    for entry in section:  # iterating over a mapping gives its keys, which are not definitions
        definition = _definition(entry)
        if definition.name in found:
            raise StartupError(f"Failed to load runtime parameter [{definition.name}], duplicated definition")
        found[definition.name] = definition
    return list(found.values())


def _definition(entry: Any) -> Definition:
    fault = _definition_fault(entry)
    if fault is not None:
        raise StartupError(f"Failed to load runtime parameter: {fault}")
    return Definition(
        name=entry["fieldName"],
        kind=entry["type"],
        default=entry.get("defaultValue"),
        minimum=entry.get("minValue"),
        maximum=entry.get("maxValue"),
    )


def _definition_fault(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return NOT_A_DICT

    def bound(key: str) -> str | None:
        value = entry.get(key)
        return alternatives(float_fault(value), null_fault(value))

    return faults(
        {
            "fieldName": text_fault(entry["fieldName"]) if "fieldName" in entry else REQUIRED,
            "type": REQUIRED if "type" not in entry else None if entry["type"] in TYPES else NO_VARIANT,
            "minValue": bound("minValue"),
            "maxValue": bound("maxValue"),
        }
    )


def _mapping(path: Path, file_title: str, content_title: str) -> dict[Any, Any]:
    """Read the YAML mapping in ``path``; DRUM's texts name the file by one of the two titles."""
    import yaml  # imported here, because most starts have no such file

    try:
        with path.open(encoding="utf-8") as stream:  # YAML's error texts name a stream's file
            content = yaml.safe_load(stream)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StartupError(f"Invalid {content_title} YAML content! {error}") from error
    except OSError as error:
        raise StartupError(f"Cannot read {path}: {error.strerror}") from error
    if not content:
        raise StartupError(f"{file_title} is empty!")
    if not isinstance(content, dict):
        raise StartupError(
            f"Invalid {content_title} YAML content! a mapping is expected, not a {type(content).__name__}"
        )
    return content
