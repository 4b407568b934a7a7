"""Reading ``model-metadata.yaml`` (contract, 1.5). It is read once, when the model loads (section 8, Q-21)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.targets import read_labels_file
from drum_litestar.predictors.protocol import TargetType

METADATA_FILE = "model-metadata.yaml"
_MIN_LABELS = 2
_BINARY_KEYS = ("positiveClassLabel", "negativeClassLabel")


def read_metadata(code_dir: Path) -> dict[str, Any] | None:
    """The parsed file as ``/info/`` echoes it; None without a file.

    Raises ModelLoadError with DRUM's texts; a schema violation has the parser's own message, where DRUM's error
    server says only ``1`` (contract, section 8, Q-22).
    """
    path = code_dir / METADATA_FILE
    if not path.exists():
        return None
    from drum_litestar.predictors.folder.metadata_schema import parse_metadata

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelLoadError(str(error)) from error
    metadata = parse_metadata(text, path)
    _check_hyperparameters(metadata)
    _check_input_schema(metadata.get("inputSchema"))
    _check_labels(metadata)
    return metadata


def _check_hyperparameters(metadata: dict[str, Any]) -> None:
    if "hyperparameters" in metadata:
        from drum_litestar.predictors.folder.hyperparameters import check_hyperparameters

        check_hyperparameters(metadata["hyperparameters"])


def _check_input_schema(schema: dict[str, Any] | None) -> None:
    if schema is None:
        return
    properties = schema["properties"]
    problem = ""
    if schema["type"] != "object":
        problem = f"Only 'object' type schemas are supported, got '{schema['type']}'"
    elif not isinstance(properties, dict):
        problem = f"'properties' must be a dictionary, got '{type(properties)}'"
    else:
        wrong = [value for value in properties.values() if not isinstance(value, dict)]
        if wrong:
            problem = f"'{type(wrong[0]).__name__}' object has no attribute 'get'"
    if problem:
        raise ModelLoadError(f"Error creating pydantic model from input schema: {problem}")


def _check_labels(metadata: dict[str, Any]) -> None:
    """Check the labels of an inference model. Replaces ``classLabelsFile`` by the labels in it."""
    target = metadata["targetType"]
    if metadata["type"] != "inference":
        return
    if target == TargetType.BINARY.value:
        _require(metadata, ("inferenceModel",))
        _require(metadata["inferenceModel"], _BINARY_KEYS)
    elif target in [known.value for known in TargetType if known.has_label_list]:
        _require(metadata, ("inferenceModel",))
        _read_class_labels(metadata["inferenceModel"], target)


def _require(section: dict[str, Any], keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in section]
    if missing:
        raise ModelLoadError(f"The following keys are missing in {METADATA_FILE} file.\nMissing keys: {missing}")


def _read_class_labels(section: dict[str, Any], target: str) -> None:
    labels, file = section.get("classLabels"), section.get("classLabelsFile")
    intro = f"\nError - for {target} classification, either the class labels or a class labels file"
    if labels and file:
        raise ModelLoadError(f"{intro} should be provided in {METADATA_FILE} file, but not both.")
    if not labels and not file:
        raise ModelLoadError(f"{intro} must be provided in {METADATA_FILE} file.")
    if not file:
        return
    try:
        labels = read_labels_file(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelLoadError(str(error)) from error
    if len(labels) < _MIN_LABELS:
        raise ModelLoadError(f"{target} classification requires at least {_MIN_LABELS} labels.")
    section["classLabels"], section["classLabelsFile"] = labels, None
