"""The RayService of ``deploy/ray``: the same applications as ``serve.yaml``, with arguments of ours, and pods that may
do little.

``KUBERAY_CRD`` may name KubeRay's ``ray.io_rayservices.yaml``, whose schema the service then has to fit: no package of
an index has it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from drum_litestar.integrations.ray.application import deployment_options
from drum_litestar.integrations.ray.application_arguments import plan_of, read_arguments
from support.servers.backends import ROOT

RAY = ROOT / "deploy" / "ray"
SERVE: dict[str, Any] = yaml.safe_load((RAY / "serve.yaml").read_text())
SERVICE: dict[str, Any] = yaml.safe_load((RAY / "rayservice.yaml").read_text())
OURS = "drum_litestar.integrations.ray:build"


def pods() -> list[dict[str, Any]]:
    cluster = SERVICE["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_the_service_serves_what_the_config_file_does() -> None:
    assert yaml.safe_load(SERVICE["spec"]["serveConfigV2"]) == SERVE


@pytest.mark.parametrize("name", ["prices", "churn"])
def test_the_arguments_are_ours(name: str) -> None:
    (application,) = [each for each in SERVE["applications"] if each["name"] == name]
    assert application["import_path"] == OURS
    arguments = read_arguments(application["args"])
    plan = plan_of(arguments, dict(arguments.environment), loads=False)
    options = deployment_options(plan.settings, arguments.deployment)
    assert [each["name"] for each in application["deployments"]] == [options["name"]]
    # Ours ends the work; a pod stays until the drain is over.
    assert plan.settings.timeouts.request_timeout < SERVE["http_options"]["request_timeout_s"]
    assert all(options["graceful_shutdown_timeout_s"] < pod["terminationGracePeriodSeconds"] for pod in pods())


def test_pods_may_do_little() -> None:
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        mounts = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
        assert mounts == {"models": True, "spool": False}
        assert {volume["name"] for volume in pod["volumes"]} == set(mounts)


@pytest.mark.skipif("KUBERAY_CRD" not in os.environ, reason="KUBERAY_CRD names no file")
def test_kuberays_schema_takes_the_service() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    definition = yaml.safe_load(Path(os.environ["KUBERAY_CRD"]).read_text())
    (version,) = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = version["schema"]["openAPIV3Schema"]
    close(schema)
    schema["properties"]["metadata"] = {"type": "object"}
    assert not list(jsonschema.Draft202012Validator(schema).iter_errors(SERVICE))


def close(schema: Any) -> None:
    """Refuse unknown fields, as an API server prunes them."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)
