"""The dashboard and the alert rules use metrics that exist, in expressions that parse."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from drum_litestar.observability.metrics.prometheus import create_metrics

DEPLOY = Path(__file__).parents[4] / "deploy"
ALERTS = DEPLOY / "alerts.yml"
PROMTOOL = shutil.which("promtool")
NAME = re.compile(r"\bdrum_[a-z_]+\b")


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    loaded: list[dict[str, Any]] = group["rules"]
    return loaded


@pytest.fixture(scope="module")
def exposed() -> set[str]:
    metrics = create_metrics()
    assert metrics is not None
    types = re.findall(r"^# TYPE (\S+) (\S+)$", metrics.render()[0].decode(), re.MULTILINE)
    buckets = {f"{name}_bucket" for name, kind in types if kind == "histogram"}
    # the kernel of a test machine may not count these
    return {name for name, _ in types} | buckets | {"drum_oom_kills_total"}


def expressions(dashboard: dict[str, Any], rules: list[dict[str, Any]]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in rules)


def test_only_metrics_that_exist(dashboard: dict[str, Any], rules: list[dict[str, Any]], exposed: set[str]) -> None:
    used = {name for expression in expressions(dashboard, rules) for name in NAME.findall(expression)}
    assert used <= exposed
    for variable in dashboard["templating"]["list"]:
        assert set(NAME.findall(variable.get("definition", ""))) <= exposed


OF_THE_IMPORT = {"__requires", "id", "definition"}
"""Keys that Grafana's importer and its variable editor read, which its dashboard schema does not have."""


def lost(given: Any, kept: Any, where: str = "") -> Iterator[str]:
    """Yield the paths at which ``kept`` lacks or changes a value of ``given``."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key in given.keys() - OF_THE_IMPORT:
            yield from lost(given[key], kept.get(key), f"{where}.{key}")
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, pair in enumerate(zip(given, kept, strict=True)):
            yield from lost(*pair, f"{where}[{index}]")
    elif given != kept:
        yield f"{where}: {given!r} became {kept!r}"


def test_grafanas_own_schema_knows_all_of_it(dashboard: dict[str, Any]) -> None:
    """Grafana's Go and TypeScript types, from which its SDK is generated, take the file without losing a field."""
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    model = models.Dashboard.from_json(dashboard)
    assert list(lost(dashboard, json.loads(JSONEncoder().encode(model)))) == []
    targets = [target for panel in model.panels for target in getattr(panel, "targets", None) or ()]
    assert targets
    assert {type(target).__module__ for target in targets} == {"grafana_foundation_sdk.models.prometheus"}


def test_dashboard_can_be_imported(dashboard: dict[str, Any]) -> None:
    assert dashboard["id"] is None
    assert dashboard["uid"]
    assert dashboard["schemaVersion"] >= 36
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"] + dy) for dx in range(place["w"]) for dy in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, f"{panel['title']} overlaps another panel"
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"


def test_alerts_are_complete(rules: list[dict[str, Any]]) -> None:
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (of Prometheus) is not installed")
def test_promtool_accepts_rules_and_dashboard(
    dashboard: dict[str, Any], rules: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The dashboard's expressions are checked as recording rules, with Grafana's variables filled in."""
    assert PROMTOOL is not None
    filled = [expression.replace("$__rate_interval", "5m") for expression in expressions(dashboard, [])]
    recording = [{"record": f"panel:{index}", "expr": expression} for index, expression in enumerate(filled)]
    panels = tmp_path / "panels.yml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recording}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", ALERTS, panels], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (of Prometheus) is not installed")
def test_promtool_accepts_the_exposition() -> None:
    assert PROMTOOL is not None
    metrics = create_metrics(executor_stats=dict, workers=dict)
    assert metrics is not None
    metrics.request_finished("POST", "/predict", "/predict", 200, 0.1)
    metrics.worker_restarted("died")
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=metrics.render()[0], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
