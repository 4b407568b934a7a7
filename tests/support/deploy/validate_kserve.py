"""Validate KServe's objects (YAML on standard input) by the models of the ``kserve`` package, whose fields are those of
its custom resources, and of ``kubernetes`` below them. Runs in an environment of its own; prints a line for each
object: ``ok`` or what is wrong.

    python validate_kserve.py < objects.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import kserve.models
import kubernetes.client.models
import yaml

KINDS = {"ClusterServingRuntime": "V1alpha1ClusterServingRuntime", "InferenceService": "V1beta1InferenceService"}
SIMPLE: dict[str, Any] = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


def problems(value: Any, kind: str, path: str) -> Iterator[str]:
    """What of ``value`` does not fit the model or the simple type ``kind``."""
    if kind.startswith(("list[", "List[")):
        if not isinstance(value, list):
            yield f"{path}: no list"
            return
        for number, item in enumerate(value):
            yield from problems(item, kind[5:-1], f"{path}[{number}]")
    elif kind.startswith(("dict(", "Dict[")):
        for name, item in value.items():
            yield from problems(item, kind[5:-1].partition(", ")[2], f"{path}.{name}")
    elif kind in SIMPLE:
        if not isinstance(value, SIMPLE[kind]) or (kind in ("int", "float") and isinstance(value, bool)):
            yield f"{path}: {value!r} is no {kind}"
    elif kind.endswith("Quantity"):
        if not isinstance(value, (str, int)):
            yield f"{path}: {value!r} is no quantity"
    else:
        yield from _of_model(value, kind, path)


def _of_model(value: Any, kind: str, path: str) -> Iterator[str]:
    model = getattr(kserve.models, kind, None) or getattr(kubernetes.client.models, kind, None)
    if model is None:
        raise LookupError(f"{path}: neither package has {kind}")
    if not isinstance(value, dict):
        yield f"{path}: no object"
        return
    names = {text: name for name, text in model.attribute_map.items()}
    found = [f"{path}: {kind} has no field {text}" for text in value if text not in names]
    for text, item in value.items():
        if text in names:
            found += problems(item, model.openapi_types[names[text]], f"{path}.{text}")
    if not found:
        try:
            model(**{names[text]: item for text, item in value.items()})
        except ValueError as error:  # a field that is required, or out of range
            found = [f"{path}: {error}"]
    yield from found


for thing in yaml.safe_load_all(sys.stdin):
    found = list(problems(thing, KINDS[thing["kind"]], ""))
    print(f"{thing['kind']}/{thing['metadata']['name']} {'; '.join(found) or 'ok'}")
