"""Replicas in a real Ray of one node: loading, calls, deadlines, faults under load, scaling, updates."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.data import csv_of, table
from support.environments.ray_environment import ray_python
from support.environments.worker_pythons import WORKERS_NEED, with_packages
from support.files import replace_text
from support.ray_serve.ray_cluster import RayCluster, RayError, application, arguments_of
from support.servers.faults import eventually, order
from support.servers.rollout import Clients
from support.wire import csv
from support.zoo import Zoo
from support.zoo.registry import copy_hooks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    with RayCluster(ray_python(), tmp_path_factory.mktemp("ray") / "ray.log", num_gpus=2) as cluster:
        yield cluster


class Served:
    """The folder of faulty hooks in Ray, in a directory of its own."""

    def __init__(self, cluster: RayCluster, zoo: Zoo, home: Path) -> None:
        self.cluster, self.home = cluster, home
        self.folder, self.path = zoo["faults"]

    def deploy(self, deployment: Mapping[str, Any] | None = None, *, wait: bool = True, **args: Any) -> None:
        found = application({**arguments_of(self.folder, self.path), **args}, deployment=deployment or {})
        variables = {"env_vars": {"FAULTS_DIR": str(self.home)}}
        self.cluster.deploy({**found, "runtime_env": variables}, wait=wait)

    def count(self, event: str) -> int:
        path = self.home / event
        return path.stat().st_size if path.exists() else 0

    def predicted(self) -> float:
        """The version of the model, which a replica predicts."""
        answer = self.cluster.send(csv("a\n1\n"))
        assert answer.status == 200, answer
        return float(answer.json()["predictions"][0])


@pytest.fixture
def served(cluster: RayCluster, zoo: Zoo, tmp_path: Path) -> Served:
    return Served(cluster, zoo, tmp_path)


def running(cluster: RayCluster, count: int) -> None:
    cluster.wait_replicas(count)


def replica_states(cluster: RayCluster) -> dict[str, int]:
    """Empty while the application is built."""
    found: dict[str, int] = cluster.do("status")["model"]["deployments"].get("Model", {}).get("replicas", {})
    return found


def report(text: str, clients: Clients) -> None:
    """A line of the fault table (``pytest -s``)."""
    print(f"\n{text}: {clients.answered} requests, {clients.failed} failed {dict(clients.failures)}")


def test_answers_of_a_route_of_a_handle_and_of_a_frame(cluster: RayCluster, zoo: Zoo) -> None:
    folder, path = zoo["regression"]
    cluster.deploy(application(arguments_of(folder, path), route="/prices"))
    frame = table(3)
    request = csv(csv_of(frame), "/prices/predict/")
    answer = cluster.send(request.with_headers(("X-Request-ID", "mine-1")))
    assert answer.status == 200
    assert [value for name, value in answer.headers if name.lower() == "x-request-id"] == ["mine-1"]
    assert answer.header("x_request_id") == "mine-1"
    assert cluster.call(csv_of(frame)) == answer.body
    records = cluster.do("call_frame", app="model", deployment="Model", records=frame.to_dict(orient="records"))
    assert [row["Predictions"] for row in records] == pytest.approx(answer.json()["predictions"], abs=1e-9)
    with pytest.raises(RayError, match="422: ERROR: Samples should be provided"):
        cluster.call(b"")
    assert cluster.get("/prices/readyz").status == 200
    assert cluster.get("/predict/").status == 404
    eventually(lambda: "mine-1 -- POST /prices" in cluster.output(), "Ray's access log with the client's id")


def test_a_model_that_cannot_be_loaded_fails_the_deployment_with_our_message(
    cluster: RayCluster, tmp_path: Path
) -> None:
    with pytest.raises(RayError, match="artifact"):
        cluster.deploy(application({"code_dir": str(tmp_path), "target_type": "regression"}))
    with pytest.raises(RayError, match=r"unknown argument target_typ; did you mean target_type\?"):
        cluster.deploy(application({"code_dir": str(tmp_path), "target_typ": "regression"}))


def test_a_deadline_ends_the_work(served: Served) -> None:
    served.deploy(DRUM_CLIENT_REQUEST_TIMEOUT=1)
    began = time.monotonic()
    answer = served.cluster.send(order("sleep", 30))
    assert (answer.status, answer.json()["message"]) == (504, "Request timeout after 1s")
    assert time.monotonic() - began < 10
    eventually(lambda: served.cluster.send(order("echo", 3)).status == 200, "a new worker answers")
    assert not served.count("ends")  # the worker was killed in the middle of its call
    served.cluster.wait_status("model")


def test_a_killed_worker_costs_the_call_that_ran(served: Served) -> None:
    served.deploy()
    with Clients(served.cluster.port, 8) as clients:
        for _ in range(3):
            eventually(lambda before=clients.answered: clients.answered > before + 100, "answers")  # type: ignore[misc]
            (worker,) = served.cluster.workers()
            worker.kill()
            worker.wait(10)
            eventually(lambda: served.cluster.workers(), "a new worker")
    report("3 times kill -9 of a model worker, 8 clients", clients)
    assert set(clients.failures) <= {"POST: 503"}
    assert clients.failed <= 3 * 2  # one that ran, and one that was in its socket
    assert len(served.cluster.replicas()) == 1


def test_a_killed_replica_costs_the_requests_that_it_had(served: Served) -> None:
    served.deploy({"num_replicas": 2}, num_cpus=1)
    running(served.cluster, 2)
    with Clients(served.cluster.port, 8) as clients:
        eventually(lambda: clients.answered > 200, "answers")
        victim = served.cluster.replicas()[0]
        workers = {worker.pid for worker in victim.children()}
        victim.kill()
        seen = clients.answered
        eventually(lambda: clients.answered > seen + 500, "answers of the other replica")
        running(served.cluster, 2)
        seen = clients.answered
        eventually(lambda: clients.answered > seen + 100, "answers of both")
    report("kill -9 of one of two replicas, 8 clients", clients)
    assert clients.failed <= 8
    assert workers
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "its workers have ended")


def test_a_changed_user_config_loads_the_folder_again_under_load(served: Served) -> None:
    # A worker that is replaced would load the new folder, too.
    kept: dict[str, Any] = {"DRUM_UVICORN_MAX_REQUESTS": 0}
    served.deploy(**kept)
    assert served.predicted() == 1.0
    replica = served.cluster.replicas()[0].pid
    replace_text(served.home / "version", "2")
    with Clients(served.cluster.port, 8) as clients:
        eventually(lambda: clients.answered > 100, "answers")
        served.deploy({"user_config": {"version": "2"}}, **kept)
        eventually(lambda: served.predicted() == 2.0, "the new model")
    report("reload by user_config, 8 clients", clients)
    assert not clients.failed
    assert [each.pid for each in served.cluster.replicas()] == [replica]
    assert served.count("loads") == 2
    replace_text(served.home / "on_load", "raise")
    served.deploy({"user_config": {"version": "3"}}, **kept)
    eventually(lambda: "Reloading the model failed; the old one goes on" in served.cluster.output(), "the log says so")
    assert served.predicted() == 2.0


def test_a_replica_that_only_gets_another_rank_loads_nothing(served: Served) -> None:
    """Ray renumbers the replicas that are left, and gives each its ``user_config`` again."""
    served.deploy({"user_config": {"version": "1"}, "num_replicas": 3}, num_cpus=0.5)
    running(served.cluster, 3)
    loads = served.count("loads")
    served.deploy({"user_config": {"version": "1"}, "num_replicas": 1}, num_cpus=0.5)
    running(served.cluster, 1)
    served.deploy({"user_config": {"version": "2"}, "num_replicas": 1}, num_cpus=0.5)
    eventually(lambda: served.count("loads") > loads, "the changed one loads the folder")
    served.cluster.wait_status("model")
    assert served.count("loads") == loads + 1


def test_a_rolling_update_with_a_new_model_loses_nothing(served: Served) -> None:
    served.deploy({"num_replicas": 2}, num_cpus=0.5, DRUM_MODEL_NAME="one")
    running(served.cluster, 2)
    before = {each.pid for each in served.cluster.replicas()}
    replace_text(served.home / "version", "2")
    with Clients(served.cluster.port, 8) as clients:
        eventually(lambda: clients.answered > 100, "answers")
        served.deploy({"num_replicas": 2}, num_cpus=0.5, DRUM_MODEL_NAME="two")
        running(served.cluster, 2)
        seen = clients.answered
        eventually(lambda: clients.answered > seen + 100, "answers of the new ones")
    report("rolling update of two replicas, 8 clients", clients)
    assert not clients.failed
    assert not before & {each.pid for each in served.cluster.replicas()}
    assert served.predicted() == 2.0


@pytest.mark.parametrize("policy", ["requests", "queue"])
def test_one_to_four_and_back_loses_nothing(served: Served, policy: str) -> None:
    scaling: dict[str, Any] = {
        "min_replicas": 1,
        "max_replicas": 4,
        "upscale_delay_s": 1,
        "downscale_delay_s": 3,
        "metrics_interval_s": 1,
        "look_back_period_s": 2,
        "target_ongoing_requests": 1,
    }
    if policy == "queue":
        scaling["policy"] = {"policy_function": "drum_litestar.integrations.ray:queue_policy"}
    served.deploy({"autoscaling_config": scaling}, num_cpus=0.5)
    running(served.cluster, 1)
    with Clients(served.cluster.port, 1, [0.5]) as few:
        with Clients(served.cluster.port, 12) as many:
            running(served.cluster, 4)
        running(served.cluster, 1)
    report(f"1 to 4 replicas ({policy})", many)
    report(f"and back to 1 ({policy})", few)
    assert not many.failed
    assert not few.failed


def test_a_replica_that_leaves_answers_what_it_has(served: Served) -> None:
    served.deploy(DRUM_UVICORN_GRACEFUL_TIMEOUT=60)
    with ThreadPoolExecutor(1) as thread:
        asked = thread.submit(served.cluster.send, order("wait", 7))
        eventually(lambda: served.count("begins"), "the call runs")
        served.deploy(DRUM_MODEL_NAME="next", DRUM_UVICORN_GRACEFUL_TIMEOUT=60, wait=False)
        eventually(lambda: "STOPPING" in replica_states(served.cluster), "the old replica is told to stop")
        (served.home / "go7").touch()
        assert asked.result(60).status == 200
    served.cluster.wait_status("model")


def test_an_interpreter_of_the_models_own(cluster: RayCluster, tmp_path: Path) -> None:
    """Pydantic 1 in the model, under a Ray that needs Pydantic 2."""
    copy_hooks("any_pydantic", tmp_path)
    python = with_packages("3.8", *WORKERS_NEED, "pydantic<2")
    cluster.deploy(application({"code_dir": str(tmp_path), "target_type": "regression", "worker_python": str(python)}))
    answer = cluster.send(csv("a,b\n1,2\n"))
    assert (answer.status, answer.body) == (200, b'{"predictions":[1.0]}')
    eventually(lambda: "custom.py sees pydantic 1." in cluster.output(), "the hook's line is in Ray's log")


def test_devices_and_settings_reach_the_model_worker(cluster: RayCluster, tmp_path: Path) -> None:
    code = (
        "import os\ndef score_unstructured(model, data, query, **kwargs):\n    return os.environ.get(data, 'unset')\n"
    )
    (tmp_path / "custom.py").write_text(code + "def load_model(code_dir):\n    return 1\n")
    args = {"code_dir": str(tmp_path), "target_type": "unstructured", "num_gpus": 1, "MLOPS_RUNTIME_PARAM_A": "7"}
    cluster.deploy({**application(args), "runtime_env": {"env_vars": {"MY_OWN": "x"}}})
    names = (b"MLOPS_RUNTIME_PARAM_A", b"MY_OWN", b"CUDA_VISIBLE_DEVICES")
    setting, own, devices = [cluster.call(name) for name in names]
    assert (setting, own) == (b"7", b"x")
    assert devices in (b"0", b"1")


def test_a_folder_in_a_packed_working_directory(cluster: RayCluster, zoo: Zoo, tmp_path: Path) -> None:
    shutil.copytree(zoo["regression"][1], tmp_path / "packed" / "model")
    # Ray takes the one folder away that such an archive holds all in.
    archive = shutil.make_archive(str(tmp_path / "code"), "zip", tmp_path, "packed")
    found = application({"code_dir": "model", "target_type": "regression"})
    cluster.deploy({**found, "runtime_env": {"working_dir": f"file://{archive}"}})
    assert cluster.send(csv(csv_of(table(2)))).status == 200
    assert "/runtime_resources/" in cluster.get("/info/").json()["codeDir"]
