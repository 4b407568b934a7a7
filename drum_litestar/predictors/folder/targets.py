"""Target type and class labels, from the command line, ``model-metadata.yaml``, or both (contract, 1.5)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
from drum_litestar.settings.boolean_words import boolean_word

NO_TARGET_TYPE = (
    "Target type is missing. It must be provided in --target-type argument, TARGET_TYPE env var or model config file."
)
NO_TARGET_NAME = "Unexpected empty target name for text generation, vector database, or agentic workflow target."


def normalise_label(text: str) -> float | str:
    """The key by which labels are compared (contract, 4.7 step 1).

    A number as float, a boolean word as 1.0 or 0.0, any other text in lower case.
    """
    try:
        number = float(text)
    except ValueError:
        word = boolean_word(text)
        return text.lower() if word is None else float(word)
    return text.lower() if math.isnan(number) else number  # NaN would not even match itself


def resolve_target_type(spec: PredictorSpec, metadata: dict[str, Any] | None) -> TargetType:
    """The target type. Raises ModelLoadError when it is missing, unknown or contradictory."""
    if metadata is None:
        if spec.target_type is None:
            raise ModelLoadError(NO_TARGET_TYPE)
        return spec.target_type
    try:
        configured = TargetType(metadata["targetType"])
    except ValueError as error:
        path, known = Path(spec.code_dir) / "model-metadata.yaml", ", ".join(each.value for each in TargetType)
        raise ModelLoadError(str(error), remedy=f"targetType in {path} must be one of {known}.") from None
    if spec.target_type is not None and spec.target_type is not configured:
        raise ModelLoadError(
            "Target type provided in --target-type argument doesn't match target type from model config file. "
            "Use either one of them or make them match.",
            remedy=f"--target-type (or TARGET_TYPE) is {spec.target_type.value}, targetType in model-metadata.yaml is "
            f"{configured.value}.",
        )
    return configured


def resolve_labels(
    spec: PredictorSpec, target_type: TargetType, metadata: dict[str, Any] | None
) -> tuple[str, ...] | None:
    """The class labels. Binary: (positive, negative); multiclass, multilabel: the configured order; others: None.

    Raises ModelLoadError when labels are missing, contradictory, or cannot be told apart (contract, Q-2).
    """
    section = (metadata or {}).get("inferenceModel") or {}
    if target_type is TargetType.BINARY:
        labels = _binary_labels(spec, section)
    elif target_type.has_label_list:
        labels = _list_labels(spec, section)
    else:
        return None
    _require_distinct(labels)
    return labels


def _binary_labels(spec: PredictorSpec, section: dict[str, Any]) -> tuple[str, ...]:
    given = _pair(spec.positive_class_label, spec.negative_class_label)
    configured = _pair(section.get("positiveClassLabel"), section.get("negativeClassLabel"))
    if given and configured and given != configured:
        raise ModelLoadError(
            "Positive/negative class labels provided with command arguments or environment variable don't match "
            "values from model config file. Use either one of them or make them match."
        )
    labels = given or configured
    if labels is None:
        raise ModelLoadError(
            "Positive/negative class labels are missing. They must be provided with either one: "
            "--positive-class-label/--negative-class-label arguments, environment variables, model config file."
        )
    return labels


def _pair(positive: str | None, negative: str | None) -> tuple[str, str] | None:
    return None if positive is None or negative is None else (positive, negative)


def _list_labels(spec: PredictorSpec, section: dict[str, Any]) -> tuple[str, ...]:
    given = spec.class_labels
    configured = section.get("classLabels")
    if given and configured and set(given) != set(configured):
        raise ModelLoadError(
            "Class labels provided with command arguments or environment variable don't match values from model "
            "config file. Use either one of them or make them match."
        )
    labels = given or configured
    if not labels:
        raise ModelLoadError(
            "Class labels are missing. They must be provided with either one: --class-labels/--class-labels-file "
            "arguments, environment variables, model config file."
        )
    return tuple(labels)


def _require_distinct(labels: Sequence[str]) -> None:
    seen: dict[float | str, str] = {}
    for label in labels:
        key = normalise_label(label)
        if seen.get(key) == label:
            raise ModelLoadError(f"Class label {label!r} is given twice. Remove one of them.")
        if key in seen:
            raise ModelLoadError(
                f"Class labels {seen[key]!r} and {label!r} cannot be told apart: labels are compared as numbers, "
                "as boolean words (yes, no, true, false, on, off, ...) or without regard to case. Rename one of them."
            )
        seen[key] = label


def read_labels_file(path: str | Path) -> list[str]:
    """One label per line, in order: universal newlines, empty lines dropped, nothing trimmed.

    Raises OSError and UnicodeDecodeError.
    """
    with Path(path).open(encoding="utf-8") as lines:
        return [label for line in lines if (label := line.rstrip("\n"))]


def require_target_name(spec: PredictorSpec, target_type: TargetType) -> None:
    """Check that a text target has a name (contract, 4.8). Raises ModelLoadError."""
    if target_type.is_text and not (spec.target_name or os.environ.get("TARGET_NAME")):
        raise ModelLoadError(
            NO_TARGET_NAME,
            remedy="Set the environment variable TARGET_NAME to the name of the column that the score hook returns; "
            "targetName in model-metadata.yaml is not read, as in DRUM.",
        )
