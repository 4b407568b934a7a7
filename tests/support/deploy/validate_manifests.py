"""Validate Kubernetes objects (YAML on standard input) by the schemas of ``kubernetes-validate`` and, for custom
resources, by models that were made from their definitions. Runs in an environment of its own; prints a line for each
object and version of Kubernetes: ``ok``, ``unknown`` (no schema is at hand) or the error.

    python validate_manifests.py 1.29 1.32 < objects.yaml
"""

from __future__ import annotations

import sys
from typing import Any

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

CUSTOM = {
    "ScaledObject": keda.ScaledObject,
    "ServiceMonitor": prometheus_operator.ServiceMonitor,
    "PrometheusRule": prometheus_operator.PrometheusRule,
}


def verdict(thing: dict[str, Any], version: str) -> str:
    if thing["kind"] in CUSTOM:
        read = CUSTOM[thing["kind"]].model_validate(thing).model_dump(mode="json", by_alias=True, exclude_unset=True)
        return "ok" if read == thing else f"has fields that are not known: {thing} against {read}"
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return "unknown"
    return "ok"


for thing in yaml.safe_load_all(sys.stdin):
    for version in sys.argv[1:]:
        try:
            said = verdict(thing, version)
        except Exception as error:
            said = f"{type(error).__name__}: {getattr(error, 'message', error)!s}".replace("\n", " ")
        print(f"{thing['kind']}/{thing['metadata']['name']} {version} {said}")
