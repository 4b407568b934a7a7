"""The manifests of ``deploy/kserve``: in step with the server, which starts as they say; valid by KServe's own models.

The models need the package index once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from conftest import running
from drum_litestar.execution.pool.pool_options import PoolOptions
from drum_litestar.http.routes import ROUTES
from drum_litestar.observability.providers import SHUTDOWN_TIMEOUT
from drum_litestar.settings.resolve import resolve
from support.data import table
from support.environments.worker_pythons import with_packages
from support.servers.backends import ROOT, console_script
from support.servers.process import ServerProcess, free_port
from support.wire import Request

KSERVE = ROOT / "deploy" / "kserve"
VALIDATOR = ROOT / "tests" / "support" / "deploy" / "validate_kserve.py"
PACKAGES = ("kserve==0.21.0", "pyyaml")
MODELS = "/mnt/models"
"""Where KServe's storage initializer puts the model."""
RAW_DEFAULT = 30
"""Seconds that Kubernetes gives a pod to stop unless it is told otherwise."""
OF_LIBRARIES = {"OMP_NUM_THREADS"}
"""Variables of the runtimes that are no settings of the server."""

Manifest = dict[str, Any]


def read(folder: str) -> Iterator[Manifest]:
    for path in sorted((KSERVE / folder).glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text())


RUNTIMES = {thing["metadata"]["name"]: thing for thing in read("runtimes")}
EXAMPLES = {thing["metadata"]["name"]: thing for thing in read("examples")}
HTTP = [name for name in RUNTIMES if name != "drum-grpc"]


def container(runtime: Manifest) -> Manifest:
    (found,) = runtime["spec"]["containers"]
    thing: Manifest = found
    return thing


def environment(runtime: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container(runtime)["env"]}


def runtime_of(service: Manifest) -> Manifest:
    """As KServe chooses it: by name, else by format and protocol."""
    model = service["spec"]["predictor"]["model"]
    if "runtime" in model:
        found: Manifest = RUNTIMES[model["runtime"]]
        return found
    (found,) = [
        each
        for each in RUNTIMES.values()
        if model.get("protocolVersion", "v1") in each["spec"]["protocolVersions"]
        and any(
            form["name"] == model["modelFormat"]["name"] and form["autoSelect"]
            for form in each["spec"]["supportedModelFormats"]
        )
    ]
    return found


def test_the_folder_of_runtimes_is_complete() -> None:
    listed = yaml.safe_load((KSERVE / "runtimes" / "kustomization.yaml").read_text())
    files = {path.name for path in (KSERVE / "runtimes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed["resources"]) == files
    assert {each["name"] for each in listed["images"]} == {container(each)["image"] for each in RUNTIMES.values()}


@pytest.mark.parametrize("name", [name for name in HTTP if name != "drum"])
def test_runtimes_differ_in_name_format_and_image_only(name: str) -> None:
    """A file is applied alone, so each has a copy of what they share."""
    first, other = (json.loads(json.dumps(RUNTIMES[each])) for each in ("drum", name))
    for thing in (first, other):
        del thing["metadata"], thing["spec"]["supportedModelFormats"], thing["spec"]["containers"][0]["image"]
    assert other == first


def test_the_runtime_for_grpc_differs_in_protocol_and_port() -> None:
    grpc, http = (json.loads(json.dumps(RUNTIMES[each])) for each in ("drum-grpc", "drum"))
    assert grpc["spec"].pop("protocolVersions") == ["grpc-v2"]
    assert http["spec"].pop("protocolVersions") == ["v1", "v2"]
    (port,) = container(grpc).pop("ports")
    assert port["name"] == "h2c"
    assert environment(grpc)["DRUM_GRPC_ADDRESS"] == f"0.0.0.0:{port['containerPort']}"
    container(grpc)["env"] = [each for each in container(grpc)["env"] if each["name"] != "DRUM_GRPC_ADDRESS"]
    assert container(http).pop("ports") == [{"containerPort": 8080, "protocol": "TCP"}]
    assert (grpc["spec"], grpc["metadata"].pop("name")) == (http["spec"], "drum-grpc")


def test_only_the_own_format_is_taken_without_being_named() -> None:
    """A cluster's own runtimes for scikit-learn and others stay what they are."""
    forms = [form for each in RUNTIMES.values() for form in each["spec"]["supportedModelFormats"]]
    assert {form["name"] for form in forms if form["autoSelect"]} == {"drum"}
    assert {form["name"] for form in forms} == {"drum", "sklearn", "xgboost", "onnx"}


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_fits_the_server(name: str, tmp_path: Path) -> None:
    runtime = RUNTIMES[name]
    server, values = container(runtime), environment(runtime)
    assert server["name"] == "kserve-container"
    assert server["args"] == [f"--code-dir={MODELS}", "--address=0.0.0.0:8080"]
    assert values["DRUM_MODEL_NAME"] == "{{.Name}}"
    mounts = {each["mountPath"] for each in server["volumeMounts"]}
    assert values["DRUM_SPOOL_DIR"] in mounts
    resolution = resolve({}, {**values, "DRUM_SPOOL_DIR": str(tmp_path)})
    assert resolution.notices == ()
    assert {item.setting.option.name for item in resolution.values} >= {*values} - OF_LIBRARIES
    volumes = {each["name"] for each in runtime["spec"]["volumes"] if "emptyDir" in each}
    assert {each["name"] for each in server["volumeMounts"]} == volumes


@pytest.mark.parametrize("name", RUNTIMES)
def test_probes_and_metrics_are_routes(name: str) -> None:
    routes = {path: route.access for route in ROUTES for path in route.paths}
    server, annotations = container(RUNTIMES[name]), RUNTIMES[name]["spec"]["annotations"]
    for kind, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/livez")):
        assert server[kind]["httpGet"] == {"path": path, "port": 8080}
        assert routes[path] == "probe"
    assert annotations["prometheus.kserve.io/path"] in routes
    assert annotations["prometheus.kserve.io/port"] == "8080"


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_may_not_do_more_than_it_needs(name: str) -> None:
    server = container(RUNTIMES[name])
    context = server["securityContext"]
    assert context["runAsNonRoot"]
    assert context["readOnlyRootFilesystem"]
    assert (context["allowPrivilegeEscalation"], context["privileged"]) == (False, False)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in server["resources"]["limits"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_the_time_that_a_stop_takes(name: str, tmp_path: Path) -> None:
    """Lame duck, drain, the end of the workers, and the flush of telemetry. Knative refuses the field."""
    service = EXAMPLES[name]
    predictor = service["spec"]["predictor"]
    if service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Serverless":
        assert "terminationGracePeriodSeconds" not in predictor
        return
    values = environment(runtime_of(service))
    given = {each["name"]: each["value"] for each in predictor["model"].get("env", ())}
    names = {item.setting.option.name for item in resolve({}, {}).values}
    known = {key: value for key, value in {**values, **given}.items() if key in names}
    settings = resolve({}, {**known, "DRUM_SPOOL_DIR": str(tmp_path)}).settings
    pool = PoolOptions(builder="")
    stop = pool.stop_grace + pool.kill_grace + SHUTDOWN_TIMEOUT
    longest = settings.timeouts.lame_duck + settings.timeouts.graceful_timeout + stop
    assert RAW_DEFAULT < longest <= predictor["terminationGracePeriodSeconds"] < longest + 60


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_a_runtime(name: str) -> None:
    model = EXAMPLES[name]["spec"]["predictor"]["model"]
    spec = runtime_of(EXAMPLES[name])["spec"]
    assert model["modelFormat"]["name"] in {form["name"] for form in spec["supportedModelFormats"]}
    assert model.get("protocolVersion", "v1") in spec["protocolVersions"]


def test_the_examples_show_what_the_page_promises() -> None:
    annotations = {name: each["metadata"]["annotations"] for name, each in EXAMPLES.items()}
    assert annotations["churn-keda"]["serving.kserve.io/autoscalerClass"] == "keda"
    assert EXAMPLES["churn-canary"]["spec"]["predictor"]["canaryTrafficPercent"] == 10
    assert "transformer" not in EXAMPLES["churn-canary"]["spec"]
    assert "env" not in EXAMPLES["iris"]["spec"]["predictor"]["model"], "the model says its target type"


def test_a_server_starts_as_the_container_does(tmp_path: Path) -> None:
    """The arguments and variables of the runtime, over a folder with an artifact alone that may only be read."""
    runtime, models, spool, port = RUNTIMES["drum-sklearn"], tmp_path / "models", tmp_path / "spool", free_port()
    models.mkdir()
    spool.mkdir()
    frame = table(20, ("a", "b"))
    model = LogisticRegression().fit(frame, ["no", "yes"] * 10)
    joblib.dump(model, models / "model.joblib")
    for path in (models / "model.joblib", models):
        path.chmod(0o444 if path.is_file() else 0o555)
    before = [(path.name, path.stat().st_mtime_ns) for path in (models, *models.iterdir())]
    arguments = [
        word.replace(MODELS, str(models)).replace("0.0.0.0:8080", f"127.0.0.1:{port}")
        for word in container(runtime)["args"]
    ]
    env = {**environment(runtime), "DRUM_SPOOL_DIR": str(spool), "DRUM_LAME_DUCK": "0", "DRUM_MODEL_NAME": "iris"}
    server = ServerProcess(
        [console_script(), "server", *arguments], port=port, log=tmp_path / "log", env=env, cwd=models
    )
    with running(server):
        data = frame.to_csv(index=False).encode()
        answer = server.send(Request("POST", "/predict/", (("Content-Type", "text/csv"),), data))
        assert answer.status == 200, answer.body
        rows = answer.json()["predictions"]
        assert [row["yes"] for row in rows] == pytest.approx(model.predict_proba(frame)[:, 1].tolist())
    assert [(path.name, path.stat().st_mtime_ns) for path in (models, *models.iterdir())] == before


@pytest.fixture(scope="module")
def validator() -> Path:
    try:
        return with_packages(f"{sys.version_info[0]}.{sys.version_info[1]}", *PACKAGES) / "bin" / "python"
    except RuntimeError as error:
        pytest.skip(str(error))


def verdicts(validator: Path, things: list[Manifest]) -> list[str]:
    """A line for each thing."""
    text = yaml.safe_dump_all(things)
    done = subprocess.run([str(validator), str(VALIDATOR)], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_valid(validator: Path) -> None:
    said = verdicts(validator, [*RUNTIMES.values(), *EXAMPLES.values()])
    assert len(said) == len(RUNTIMES) + len(EXAMPLES)
    assert [line for line in said if not line.endswith(" ok")] == []


@pytest.mark.slow
def test_a_wrong_field_is_found(validator: Path) -> None:
    """Of KServe's objects, and of Kubernetes' in them."""
    runtime, service = (json.loads(json.dumps(each)) for each in (RUNTIMES["drum"], EXAMPLES["churn"]))
    container(runtime)["readinessProbe"]["httpGet"]["root"] = "/"
    service["spec"]["predictor"]["minReplicas"] = "two"
    wrong, wrong_too = verdicts(validator, [runtime, service])
    assert "readinessProbe.httpGet: V1HTTPGetAction has no field root" in wrong
    assert "minReplicas: 'two' is no int" in wrong_too
