"""``deploy/ray`` in a real Ray: two models behind two prefixes, and the pipeline that asks both without HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LinearRegression, LogisticRegression

from support.data import class_target, continuous_target, csv_of, table
from support.environments.ray_environment import ray_python
from support.ray_serve.ray_cluster import RayCluster
from support.servers.backends import ROOT
from support.wire import csv, post

pytestmark = pytest.mark.slow

RAY = ROOT / "deploy" / "ray"
ROWS = table(4)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The example's models, by name, and where they are."""
    import joblib

    home = tmp_path_factory.mktemp("models")
    frame = table(60)
    prices = LinearRegression().fit(frame, continuous_target(frame))
    churn = LogisticRegression(max_iter=500).fit(frame, class_target(frame, ["no", "yes"]))
    for name, model in (("prices", prices), ("churn", churn)):
        (home / name).mkdir()
        joblib.dump(model, home / name / "model.pkl")
    return {"home": home, "prices": prices, "churn": churn}


def config(home: Path) -> dict[str, Any]:
    """``serve.yaml`` with the models' folder of this machine, and fractions of its few cores."""
    found: dict[str, Any] = yaml.safe_load((RAY / "serve.yaml").read_text().replace("/models/", f"{home}/"))
    for each in found["applications"][:2]:
        each["args"]["num_cpus"] = 1
    del found["http_options"], found["proxy_location"]
    return found


def test_the_example_answers(models: dict[str, Any], tmp_path: Path) -> None:
    with RayCluster(ray_python(), tmp_path / "ray.log") as cluster:
        found = config(models["home"])
        archive = shutil.make_archive(str(tmp_path / "code"), "zip", RAY)
        found["applications"][2]["runtime_env"] = {"working_dir": f"file://{archive}"}
        cluster.do("deploy", config=found)
        for name in ("prices", "churn", "offers"):
            cluster.wait_status(name)
        prices = models["prices"].predict(ROWS)
        leaves = models["churn"].predict_proba(ROWS)[:, 1]
        answer = cluster.send(csv(csv_of(ROWS), "/prices/predict/"))
        assert answer.json()["predictions"] == pytest.approx(prices.tolist())
        answer = cluster.send(csv(csv_of(ROWS), "/churn/predict/"))
        assert [row["yes"] for row in answer.json()["predictions"]] == pytest.approx(leaves.tolist())
        offers = pd.DataFrame(cluster.send(post("/offers", csv_of(ROWS), "text/csv")).json())
        assert offers["price"].tolist() == pytest.approx(prices.tolist())
        assert offers["leaves"].tolist() == pytest.approx(leaves.tolist())


def test_rays_own_schema_takes_the_files() -> None:
    code = (
        "import sys, json; from ray.serve.schema import ServeDeploySchema as S\n"
        "for config in json.load(sys.stdin): print([each.name for each in S.model_validate(config).applications])"
    )
    service = yaml.safe_load((RAY / "rayservice.yaml").read_text())
    configs = [yaml.safe_load((RAY / "serve.yaml").read_text()), yaml.safe_load(service["spec"]["serveConfigV2"])]
    done = subprocess.run(
        [ray_python(), "-c", code], input=json.dumps(configs), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["['prices', 'churn', 'offers']"] * 2
