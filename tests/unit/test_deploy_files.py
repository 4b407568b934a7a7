"""The files in ``deploy/``, as far as they can be checked without an engine: they parse, and fit each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from drum_litestar.execution.pool.pool_options import PoolOptions
from drum_litestar.observability.providers import SHUTDOWN_TIMEOUT
from drum_litestar.settings.resolve import resolve
from drum_litestar.tools.image.build_context import CONTAINERFILE, WITH_REQUIREMENTS, WITHOUT_REQUIREMENTS
from support.servers.backends import ROOT

DEPLOY = ROOT / "deploy"
ENVIRONMENTS = sorted((DEPLOY / "container" / "environments").iterdir())
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNIT = DEPLOY / "systemd" / "drum-litestar@.service"
DRUMS_OWN = {"r": {"datarobot-drum"}, "java": {"datarobot-drum"}, "keras": {"torch"}}
"""What environments require beside this package."""


def longest_stop(environ: Mapping[str, str]) -> float:
    """Seconds that a server with these variables may take to stop.

    Lame duck, drain, the end of the workers, the flush of telemetry.
    """
    timeouts = resolve({}, environ).settings.timeouts
    pool = PoolOptions(builder="")
    return timeouts.lame_duck + timeouts.graceful_timeout + pool.stop_grace + pool.kill_grace + SHUTDOWN_TIMEOUT


def instructions(text: str) -> list[str]:
    """Instructions of a Containerfile, one a line, without comments."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [re.sub(r"\s+", " ", each) for each in "\n".join(lines).replace("\\\n", " ").splitlines() if each.strip()]


def stages(text: str) -> dict[str, list[str]]:
    """The instructions of each stage, by its name."""
    found: dict[str, list[str]] = {}
    for each in instructions(text):
        if each.startswith("FROM "):
            found[each.rpartition(" AS ")[2]] = []
        elif found:
            found[list(found)[-1]].append(each)
    return found


# The Containerfile


def test_the_package_has_the_containerfile() -> None:
    assert CONTAINERFILE.resolve() == DEPLOY / "container" / "Containerfile"


def test_its_stages_are_those_that_the_command_builds() -> None:
    text = CONTAINERFILE.read_text()
    assert list(stages(text)) == ["build", "server", WITHOUT_REQUIREMENTS, "requirements", WITH_REQUIREMENTS]
    froms = [each.split()[1] for each in instructions(text) if each.startswith("FROM ")]
    assert froms == ["${BASE}", "${BASE}", "server", "build", "server"]


def test_its_arguments_are_those_that_its_head_explains() -> None:
    text = CONTAINERFILE.read_text()
    explained = re.findall(r"^#   ([A-Z]+) ", text, re.M)
    assert sorted(explained) == sorted(set(re.findall(r"^ARG ([A-Z]+)", text, re.M)))
    assert sorted(explained) == ["BASE", "EXTRAS", "PYTHON", "VERSION"]


def test_what_runs_is_not_root_and_has_no_shell_before_it() -> None:
    found = stages(CONTAINERFILE.read_text())
    assert "USER 10001:10001" in found["server"]
    assert 'ENTRYPOINT ["drum-litestar", "server"]' in found["server"]
    assert "VOLUME /var/spool/drum" in found["server"]
    assert any(each.startswith("HEALTHCHECK ") and "CMD [" in each for each in found["server"])
    for stage in (WITHOUT_REQUIREMENTS, WITH_REQUIREMENTS):
        assert not [each for each in found[stage] if each.startswith(("USER", "RUN"))]


def test_its_variables_are_known() -> None:
    text = CONTAINERFILE.read_text()
    names = {item.setting.option.name for item in resolve({}, {}).values}
    assert set(re.findall(r"\bDRUM_[A-Z_]+\b", text)) <= names


# Drop-in environments


def test_there_is_an_environment_for_each_kind_of_model() -> None:
    assert [each.name for each in ENVIRONMENTS] == [
        "java", "keras", "onnx", "python-sklearn", "pytorch", "r", "xgboost",
    ]  # fmt: skip


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=lambda folder: folder.name)
def test_an_environment_is_complete(folder: Path) -> None:
    """A folder is uploaded alone, so each has a copy of what they share."""
    script, dockerfile = folder / "start_server.sh", folder / "Dockerfile"
    assert sorted(each.name for each in folder.iterdir()) == ["Dockerfile", "requirements.txt", "start_server.sh"]
    assert os.access(script, os.X_OK)
    assert script.read_text() == (ENVIRONMENTS[0] / "start_server.sh").read_text()
    shared = [each for each in instructions(dockerfile.read_text()) if not each.startswith("ARG ")]
    assert shared == [
        each for each in instructions((ENVIRONMENTS[0] / "Dockerfile").read_text()) if not each.startswith("ARG ")
    ]
    text = " ".join(shared)
    for part in (
        "CODE_DIR=/opt/code",
        "ADDRESS=0.0.0.0:8080",
        "EXPOSE 8080",
        'ENTRYPOINT ["/opt/code/start_server.sh"]',
    ):
        assert part in text


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=lambda folder: folder.name)
def test_an_environment_requires_what_exists(folder: Path) -> None:
    lines = [line for line in (folder / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    requirements = {each.name: each for each in map(Requirement, lines)}
    own = requirements.pop("drum-litestar")
    assert own.extras <= set(metadata.metadata("drum-litestar").get_all("Provides-Extra") or ())
    assert set(requirements) == DRUMS_OWN.get(folder.name, set())


def test_the_start_script_is_one_of_a_shell(tmp_path: Path) -> None:
    script = ENVIRONMENTS[0] / "start_server.sh"
    subprocess.run(["sh", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


@pytest.mark.parametrize(
    ("commands", "started"), [(("drum", "drum-litestar"), "drum"), (("drum-litestar",), "drum-litestar")]
)
def test_the_start_script_prefers_drum(tmp_path: Path, commands: tuple[str, ...], started: str) -> None:
    for name in commands:
        command = tmp_path / name
        command.write_text(f'#!/bin/sh\necho {name} "$@" in "$PWD" at "$ADDRESS"\n')
        command.chmod(0o755)
    model = tmp_path / "model"
    model.mkdir()
    done = subprocess.run(
        ["/bin/sh", str(ENVIRONMENTS[0] / "start_server.sh"), "--max-workers", "2"],
        env={"PATH": str(tmp_path), "CODE_DIR": str(model)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{started} server --max-workers 2 in {model} at 0.0.0.0:8080\n", done.stderr


# Compose


def mounted(service: str) -> dict[str, str]:
    """What is mounted where, of files beside ``compose.yaml``: target by source."""
    volumes = [each for each in COMPOSE["services"][service].get("volumes", ()) if not each.startswith("$")]
    pairs = [each.split(":")[:2] for each in volumes]
    return {source: target for source, target in pairs if source not in COMPOSE["volumes"]}


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_what_a_service_mounts_exists(service: str) -> None:
    assert [source for source in mounted(service) if not (DEPLOY / source).exists()] == []
    named = [each.split(":")[0] for each in COMPOSE["services"][service].get("volumes", ()) if each[0] not in ".$"]
    assert set(named) <= set(COMPOSE["volumes"])
    assert set(COMPOSE["services"][service].get("depends_on", ())) <= set(COMPOSE["services"])


def test_compose_builds_the_server() -> None:
    build = COMPOSE["services"]["model"]["build"]
    assert build["target"] in stages((DEPLOY / build["context"] / build["dockerfile"]).read_text())


def test_prometheus_scrapes_the_server_and_has_the_alerts() -> None:
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    targets = [
        target for job in config["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
    ]
    assert {target.partition(":")[0] for target in targets} <= set(COMPOSE["services"])
    assert "model:8080" in targets
    folder = "/etc/prometheus"
    assert [f"{folder}/{name}" for name in config["rule_files"]] == [mounted("prometheus")["./alerts.yml"]]


def test_grafana_has_the_dashboard_and_its_source() -> None:
    places = mounted("grafana")
    (provider,) = yaml.safe_load((DEPLOY / "compose/grafana/dashboards/drum-litestar.yaml").read_text())["providers"]
    assert str(Path(places["./grafana-dashboard.json"]).parent) == provider["options"]["path"]
    (source,) = yaml.safe_load((DEPLOY / "compose/grafana/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_the_collector_listens_where_the_server_sends() -> None:
    config = yaml.safe_load((DEPLOY / "compose" / "otel-collector.yaml").read_text())
    port = config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].partition(":")[2]
    endpoint = COMPOSE["services"]["model"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert endpoint == f"http://otel-collector:{port}"
    for pipeline in config["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= set(config[part])


def test_a_stop_has_the_time_that_the_server_takes() -> None:
    """And not a minute more."""
    service = COMPOSE["services"]["model"]
    variables = {name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", text) for name, text in service["environment"].items()}
    longest = longest_stop(variables)
    assert longest <= int(service["stop_grace_period"].rstrip("s")) < longest + 60


# systemd


def test_a_stop_of_the_unit_has_the_time_that_the_server_takes() -> None:
    lines = (DEPLOY / "systemd" / "model.env.example").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.M)
    longest = longest_stop(variables)
    assert longest <= int(seconds) < longest + 60


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    unit = tmp_path / "drum-litestar@churn.service"
    unit.write_text(re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", UNIT.read_text(), flags=re.M))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    """By systemd's own measure, in tenths of its 0 (best) to 10."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    unit = tmp_path / "drum-litestar@churn.service"
    unit.write_text(UNIT.read_text())
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "offline" in done.stderr:
        pytest.skip(f"this systemd cannot judge a file: {done.stderr}")
    assert done.returncode == 0, done.stdout[-500:]
