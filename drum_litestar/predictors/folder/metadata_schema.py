"""The strict-YAML schema of ``model-metadata.yaml`` (contract, 1.5, 4.11)."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from strictyaml import YAML, Bool, Enum, Int, Map, Optional, Seq, Str, StrictYAMLError, YAMLValidationError, load
from strictyaml import Any as Anything
from strictyaml.ruamel.error import MarkedYAMLError

from drum_litestar.errors import ModelLoadError

_LIST_CONDITIONS = frozenset({"IN", "NOT_IN"})
_NEVER_ZERO = frozenset({"EQUALS", "IN", "LESS_THAN", "NOT_GREATER_THAN"})
_FIELDS = ("data_types", "sparse", "number_of_columns", "contains_missing")
_EQUALS = ("EQUALS",)
_SET_CONDITIONS = ("EQUALS", "IN", "NOT_EQUALS", "NOT_IN")
_NUMBER_CONDITIONS = (*_SET_CONDITIONS, "GREATER_THAN", "LESS_THAN", "NOT_GREATER_THAN", "NOT_LESS_THAN")
_DATA_TYPES = ("NUM", "TXT", "IMG", "DATE", "CAT", "DATE_DURATION", "COUNT_DICT", "GEO")


def _one_or_more(item: Any) -> Any:
    return item | Seq(item)


def _requirement(condition: tuple[str, ...], value: Any) -> Any:
    return Map({"field": Enum(_FIELDS), "condition": Enum(condition), "value": value})


def _requirements(sparse: tuple[str, ...], contains_missing: tuple[str, ...]) -> dict[str, Any]:
    return {
        "data_types": _requirement(_SET_CONDITIONS, _one_or_more(Enum(_DATA_TYPES))),
        "number_of_columns": _requirement(_NUMBER_CONDITIONS, _one_or_more(Int())),
        "sparse": _requirement(_EQUALS, Enum(sparse)),
        "contains_missing": _requirement(_EQUALS, Enum(contains_missing)),
    }


_TYPE_SCHEMA = {
    "input_requirements": _requirements(("FORBIDDEN", "SUPPORTED", "REQUIRED"), ("FORBIDDEN", "SUPPORTED")),
    "output_requirements": _requirements(("NEVER", "DYNAMIC", "ALWAYS", "IDENTITY"), ("NEVER", "DYNAMIC")),
}
_ANY_REQUIREMENT = Map({"field": Enum(_FIELDS), "condition": Str(), "value": Anything()})

_INFERENCE_MODEL = {
    Optional("targetName"): Str(),
    Optional("positiveClassLabel"): Str(),
    Optional("negativeClassLabel"): Str(),
    Optional("classLabels"): Seq(Str()),
    Optional("classLabelsFile"): Str(),
    Optional("predictionThreshold"): Int(),
}
_FIELDS_OF_FILE = {
    "name": Str(),
    "type": Str(),
    "targetType": Str(),
    Optional("environmentID"): Str(),
    Optional("validation"): Map({"input": Str(), Optional("targetName"): Str()}),
    Optional("modelID"): Str(),
    Optional("description"): Str(),
    Optional("majorVersion"): Bool(),
    Optional("inferenceModel"): Map(_INFERENCE_MODEL),
    Optional("trainingModel"): Map({Optional("trainOnProject"): Str()}),
    Optional("hyperparameters"): Anything(),
    Optional("typeSchema"): Map({Optional(side): Seq(_ANY_REQUIREMENT) for side in _TYPE_SCHEMA}),
    Optional("customPredictor"): Anything(),
    Optional("runtimeParameterDefinitions"): Anything(),
    Optional("userCredentialSpecifications"): Seq(Map({"key": Str(), "valueFrom": Str(), Optional("reminder"): Str()})),
    Optional("lazyLoading"): Anything(),
    Optional("inputSchema"): Map(
        {Optional("title"): Str(), "type": Str(), "properties": Anything(), Optional("required"): Seq(Str())}
    ),
}
_METADATA = Map(_FIELDS_OF_FILE)
_KEYS = [key.key if isinstance(key, Optional) else key for key in (*_FIELDS_OF_FILE, *_INFERENCE_MODEL)]


def parse_metadata(text: str, path: Path) -> dict[str, Any]:
    """Parse ``text``, the content of ``path``: all scalars are strings, except the schema's integers and booleans.

    Raises ModelLoadError, whose cause is not kept: the parser's frames tell its reader nothing.
    """
    if not text:
        raise ModelLoadError("The model_metadata.yaml file appears to be empty.")
    try:
        document = load(text, _METADATA)
        if "typeSchema" in document:
            _type_values(document["typeSchema"])
    except YAMLValidationError as error:
        raise ModelLoadError(f"Invalid model-metadata.yaml: {_shown(error, path)}", remedy=_near_key(error)) from None
    except StrictYAMLError as error:
        raise ModelLoadError(
            "\nStrictYAMLError: The current format does not comply with strict yaml rules. "
            f"(Empty list on fields are not allowed)\n{_shown(error, path)}"
        ) from None
    except MarkedYAMLError as error:
        raise ModelLoadError(f"Invalid model-metadata.yaml: {_shown(error, path)}") from None
    data: dict[str, Any] = document.data
    return data


def _shown(error: MarkedYAMLError, path: Path) -> str:
    """The parser's text, with the file where it speaks of a string."""
    return str(error).replace('"<unicode string>"', f'"{path}"')


def _near_key(error: YAMLValidationError) -> str:
    """The key that may be meant, where one is unknown."""
    found = re.match("unexpected key not in schema '(.*)'", error.problem or "")
    near = difflib.get_close_matches(found[1], _KEYS, 1) if found else []
    return f"did you mean {near[0]}?" if near else ""


def _type_values(type_schema: YAML) -> None:
    """Validate each requirement by its field, and convert its value to the field's type."""
    for side, by_field in _TYPE_SCHEMA.items():
        for requirement in type_schema.get(side, ()):
            requirement.revalidate(by_field[requirement["field"].data])
            _check_combination(**requirement.data)


def _check_combination(field: str, condition: str, value: Any) -> None:
    """Check rules over several fields of a requirement (contract, 4.11). Raises ModelLoadError."""
    values = value if isinstance(value, list) else [value]
    if len(values) > 1 and condition not in _LIST_CONDITIONS:
        raise ModelLoadError(f"{condition} only accepts a single value for: {values}", exit_code=3)
    if field != "number_of_columns":
        return
    if any(count < 0 for count in values):
        raise ModelLoadError("The value for number of columns can not be negative")
    if 0 in values and condition in _NEVER_ZERO:
        raise ModelLoadError(f"Value of 0 is not supported for {condition}")
