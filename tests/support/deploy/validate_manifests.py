"""Validate Kubernetes objects (YAML on standard input) by the schemas of ``kubernetes-validate`` and, for custom
resources, by models that were made from their definitions. Runs in an environment of its own; prints a line for each
object and version of Kubernetes: ``ok``, ``unknown`` (no schema is at hand) or the error.

    python validate_manifests.py 1.29 1.32 < objects.yaml

``HTTPROUTE_SCHEMA`` names a module of the npm package ``@kubernetes-models/gateway-api``, whose schema is that of the
Gateway API's definition.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus_operator

CUSTOM = {
    "ScaledObject": keda.ScaledObject,
    "ServiceMonitor": prometheus_operator.ServiceMonitor,
    "PrometheusRule": prometheus_operator.PrometheusRule,
}


def strict(schema: Any) -> Any:
    """``schema`` without fields that it does not name; the metadata is Kubernetes' own and not looked into."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {}
    inner = {name: strict(value) for name, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in schema else inner


def http_route_schema() -> Any:
    """The schema in the module that ``HTTPROUTE_SCHEMA`` names; None without one."""
    path = os.environ.get("HTTPROUTE_SCHEMA")
    if path is None:
        return None
    found = re.search(r"^const schema = (\{.*?^\});", Path(path).read_text(encoding="utf-8"), re.M | re.S)
    assert found is not None, f"{path} has no schema"
    return strict(json.loads(found[1]))


def verdict(thing: dict[str, Any], version: str) -> str:
    if thing["kind"] in CUSTOM:
        read = CUSTOM[thing["kind"]].model_validate(thing).model_dump(mode="json", by_alias=True, exclude_unset=True)
        return "ok" if read == thing else f"has fields that are not known: {thing} against {read}"
    if thing["kind"] == "HTTPRoute" and HTTP_ROUTE is not None:
        jsonschema.validate(thing, HTTP_ROUTE)
        return "ok"
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return "unknown"
    return "ok"


HTTP_ROUTE = http_route_schema()
for thing in yaml.safe_load_all(sys.stdin):
    for version in sys.argv[1:]:
        try:
            said = verdict(thing, version)
        except Exception as error:
            said = f"{type(error).__name__}: {getattr(error, 'message', error)!s}".replace("\n", " ")
        print(f"{thing['kind']}/{thing['metadata']['name']} {version} {said}")
