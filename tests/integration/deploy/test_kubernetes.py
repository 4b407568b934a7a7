"""The manifests of ``deploy/kubernetes``: rendered by kubectl, valid by the schemas, and in step with the server.

Needs kubectl; the schemas need the package index once.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_rule import OBJECT, prometheus_rule

from conftest import Start
from drum_litestar.execution.pool.pool_options import PoolOptions
from drum_litestar.observability.providers import SHUTDOWN_TIMEOUT
from drum_litestar.protocols.all_routes import ALL_ROUTES
from drum_litestar.settings.resolve import resolve
from support.environments.worker_pythons import with_packages
from support.servers.backends import ROOT
from support.servers.process import free_port

KUBERNETES = ROOT / "deploy" / "kubernetes"
RENDERED = ("base", "overlays/production", "overlays/canary", "overlays/llm-sidecar")
VALIDATOR = ROOT / "tests" / "support" / "deploy" / "validate_manifests.py"
PACKAGES = ("kubernetes-validate>=1.32", "cloudcoil.models.keda", "cloudcoil.models.prometheus-operator", "pyyaml")
GATEWAY_API = "@kubernetes-models/gateway-api@0.5.1"
"""Package of npm's that has the schema of HTTPRoute; later ones have it as compiled code only."""
VERSIONS = ("1.29", "1.32")

Manifest = dict[str, Any]


@functools.cache
def rendered(name: str) -> str:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    command = [kubectl, "kustomize", str(KUBERNETES / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unknown field" in done.stderr or "unknown command" in done.stderr:
        pytest.skip("kubectl is too old: its kustomize has no components")
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(name: str, kind: str) -> list[Manifest]:
    return [thing for thing in yaml.safe_load_all(rendered(name)) if thing["kind"] == kind]


def parameters(name: str, deployment: Manifest) -> dict[str, str]:
    """Environment of the server's container."""
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    wanted = [source["configMapRef"]["name"] for source in server["envFrom"] if "configMapRef" in source]
    (found,) = [thing for thing in manifests(name, "ConfigMap") if thing["metadata"]["name"] in wanted]
    data: dict[str, str] = found["data"]
    return data


@pytest.fixture(scope="module")
def validator() -> Path:
    try:
        return with_packages(f"{sys.version_info[0]}.{sys.version_info[1]}", *PACKAGES) / "bin" / "python"
    except RuntimeError as error:
        pytest.skip(str(error))


def verdicts(validator: Path, things: list[Manifest], route_schema: Path | None = None) -> list[str]:
    """A line for each thing and version of Kubernetes."""
    command = [str(validator), str(VALIDATOR), *VERSIONS]
    env = {**os.environ, **({} if route_schema is None else {"HTTPROUTE_SCHEMA": str(route_schema)})}
    text = yaml.safe_dump_all(things)
    done = subprocess.run(command, input=text, env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.slow
def test_valid(validator: Path) -> None:
    """All of them; ``test_a_wrong_field_is_found`` has production's in the default run."""
    things = [thing for name in RENDERED for thing in yaml.safe_load_all(rendered(name))]
    said = verdicts(validator, things)
    assert len(said) == len(VERSIONS) * len(things)
    unknown = {line.partition("/")[0] for line in said if line.endswith(" unknown")}
    assert unknown <= {"HTTPRoute"}, "whose schema another test gets"
    assert [line for line in said if not line.endswith((" ok", " unknown"))] == []


def test_a_wrong_field_is_found(validator: Path) -> None:
    """Of Kubernetes' own objects and of custom resources."""
    things = list(yaml.safe_load_all(rendered("overlays/production")))
    for thing in things:
        if thing["kind"] in ("Deployment", "ScaledObject"):
            thing["spec"]["replica"] = 1
    wrong = [line.partition("/")[0] for line in verdicts(validator, things) if not line.endswith(" ok")]
    assert wrong == ["Deployment"] * len(VERSIONS) + ["ScaledObject"] * len(VERSIONS)


@pytest.mark.slow
def test_the_route_is_valid(validator: Path, tmp_path: Path) -> None:
    """By the Gateway API's own schema, from npm; a field that it does not have is found."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    done = subprocess.run(
        [npm, "pack", "--silent", GATEWAY_API], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(done.stderr[-300:])
    shutil.unpack_archive(tmp_path / done.stdout.strip(), tmp_path)
    schema = tmp_path / "package" / "gateway.networking.k8s.io" / "v1" / "HTTPRoute.mjs"
    (route,) = manifests("overlays/canary", "HTTPRoute")
    assert verdicts(validator, [route], schema) == [f"HTTPRoute/drum-model {version} ok" for version in VERSIONS]
    route["spec"]["rules"][0]["backendRefs"][0]["weigth"] = 1
    wrong, _ = verdicts(validator, [route], schema)
    assert "Additional properties are not allowed ('weigth' was unexpected)" in wrong


@pytest.mark.parametrize("name", RENDERED)
def test_the_parameters_are_settings_and_in_range(name: str, tmp_path: Path) -> None:
    for deployment in manifests(name, "Deployment"):
        spool = {"DRUM_SPOOL_DIR": str(tmp_path)}  # a volume there
        assert resolve({}, {**parameters(name, deployment), **spool}).notices == ()


@pytest.mark.parametrize("name", RENDERED)
def test_the_grace_covers_what_a_stop_takes(name: str, tmp_path: Path) -> None:
    """Lame duck, drain, the end of the workers, and the flush of telemetry; and not a minute more."""
    for deployment in manifests(name, "Deployment"):
        resolution = resolve({}, {**parameters(name, deployment), "DRUM_SPOOL_DIR": str(tmp_path)})
        values = {item.setting.option.name: item.value for item in resolution.values}
        pool = PoolOptions(builder="")
        stop = pool.stop_grace + pool.kill_grace + SHUTDOWN_TIMEOUT
        longest = values["DRUM_LAME_DUCK"] + values["DRUM_UVICORN_GRACEFUL_TIMEOUT"] + stop
        grace = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        assert longest <= grace < longest + 60
        assert values["DRUM_CLIENT_REQUEST_TIMEOUT"] <= values["DRUM_UVICORN_GRACEFUL_TIMEOUT"]
        ready = deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
        unready = ready["periodSeconds"] * ready["failureThreshold"]
        assert values["DRUM_LAME_DUCK"] > unready, "the pod is not taken out of the service before its port closes"


@pytest.mark.parametrize("name", RENDERED)
def test_the_probes_are_routes_of_the_probes_port(name: str) -> None:
    probes = {path for route in ALL_ROUTES if route.access == "probe" for path in route.paths}
    for deployment in manifests(name, "Deployment"):
        (server,) = deployment["spec"]["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in server["ports"]}
        settings = parameters(name, deployment)
        assert settings["ADDRESS"] == f"0.0.0.0:{ports['http']}"
        assert settings["DRUM_PROBE_ADDRESS"] == f"0.0.0.0:{ports['probes']}"
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert server[kind]["httpGet"]["port"] == "probes"
            assert server[kind]["httpGet"]["path"] in probes


@pytest.mark.parametrize("name", RENDERED)
def test_no_container_may_do_more_than_it_needs(name: str) -> None:
    for thing in (*manifests(name, "Deployment"), *manifests(name, "Job")):
        pod = thing["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["allowPrivilegeEscalation"] is False
            assert "memory" in container["resources"]["limits"]
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]


def test_the_spool_is_a_volume() -> None:
    (deployment,) = manifests("base", "Deployment")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    mounts = {mount["mountPath"] for mount in server["volumeMounts"]}
    assert parameters("base", deployment)["DRUM_SPOOL_DIR"] in mounts


def test_the_canary_sends_to_services_that_exist() -> None:
    services = {service["metadata"]["name"] for service in manifests("overlays/canary", "Service")}
    (route,) = manifests("overlays/canary", "HTTPRoute")
    assert {backend["name"] for backend in route["spec"]["rules"][0]["backendRefs"]} == services
    (job,) = manifests("overlays/canary", "Job")
    asked = [word for word in job["spec"]["template"]["spec"]["containers"][0]["args"] if "://" in word]
    assert {word.partition("://")[2] for word in asked} == services


def test_the_rules_are_those_of_the_alerts_file() -> None:
    assert OBJECT.read_text() == prometheus_rule(), "run: python scripts/prometheus_rule.py --write"
    (rule,) = manifests("overlays/production", "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())


def test_a_server_starts_with_the_parameters(serve: Start, tmp_path: Path) -> None:
    """As they are, but for what the machine of a test has not: addresses, the model's place, the spool's volume."""
    (deployment,) = manifests("base", "Deployment")
    env = parameters("base", deployment)
    probes = free_port()
    own = {"ADDRESS", "CODE_DIR"}
    local = {"DRUM_PROBE_ADDRESS": f"127.0.0.1:{probes}", "DRUM_SPOOL_DIR": str(tmp_path), "DRUM_LAME_DUCK": "0"}
    server = serve("regression", env={**{name: env[name] for name in env.keys() - own}, **local})
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        with urllib.request.urlopen(f"http://127.0.0.1:{probes}{container[kind]['httpGet']['path']}") as answer:
            assert answer.status == 200
    (service,) = manifests("base", "Service")
    assert {port["targetPort"] for port in service["spec"]["ports"]} == {port["name"] for port in container["ports"]}
    assert server.process.poll() is None
