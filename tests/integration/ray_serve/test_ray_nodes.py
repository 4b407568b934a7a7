"""A Ray of three nodes on this machine, of which one dies under load; and Ray's HAProxy in the place of its proxy."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
from pathlib import Path

import psutil
import pytest

from support.environments.ray_environment import ray_python
from support.ray_serve.ray_cluster import RayCluster, application, arguments_of
from support.servers.faults import eventually, order
from support.servers.rollout import Clients
from support.wire import csv, get
from support.zoo import Zoo

pytestmark = pytest.mark.slow


def descendants(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def test_a_dead_node_costs_the_requests_that_were_there(zoo: Zoo, tmp_path: Path) -> None:
    """Three replicas, one on each node; the head has the proxy that is asked."""
    folder, path = zoo["faults"]
    found = application(
        arguments_of(folder, path) | {"num_cpus": 1}, deployment={"num_replicas": 3, "max_replicas_per_node": 1}
    )
    found["runtime_env"] = {"env_vars": {"FAULTS_DIR": str(tmp_path)}}
    with RayCluster(ray_python(), tmp_path / "ray.log", nodes=3, num_cpus=2) as cluster:
        cluster.deploy(found)
        cluster.wait_replicas(3)
        raylets = cluster.do("nodes")
        with Clients(cluster.port, 9) as clients:
            eventually(lambda: clients.answered > 300, "answers")
            # A node is its raylet and what that has started.
            lost = descendants(raylets[0])
            names = [" ".join(each.cmdline()[:1]) for each in lost]
            assert any("ray::ServeReplica" in name for name in names), names
            for each in (psutil.Process(raylets[0]), *lost):
                with contextlib.suppress(psutil.NoSuchProcess):
                    os.kill(each.pid, signal.SIGKILL)
            seen = clients.answered
            eventually(lambda: clients.answered > seen + 500, "answers of the other nodes")
        print(f"\nkill -9 of one node of three, 9 clients: {clients.answered} requests, {dict(clients.failures)}")
        # The clients wait for an answer each, so no more than that can have been anywhere.
        assert clients.failed <= 9
        assert cluster.send(order("echo", 3)).status == 200


def test_behind_haproxy(zoo: Zoo, tmp_path: Path) -> None:
    """HAProxy hands requests to the replicas' own ports: the same answers, and as many lost by a death."""
    folder, path = zoo["faults"]
    found = application(arguments_of(folder, path), deployment={"num_replicas": 2})
    found["runtime_env"] = {"env_vars": {"FAULTS_DIR": str(tmp_path)}}
    env = {"RAY_SERVE_ENABLE_HA_PROXY": "1"}
    with RayCluster(ray_python(), tmp_path / "ray.log", env=env) as cluster:
        cluster.deploy(found)
        cluster.wait_replicas(2)
        eventually(lambda: answers(cluster), "HAProxy knows the replicas")
        assert cluster.processes("haproxy")
        answer = cluster.send(csv("do,arg\necho,7\n").with_headers(("X-Request-ID", "mine-2")))
        assert (answer.status, answer.body) == (200, b'{"predictions":[7.0]}')
        assert [value for name, value in answer.headers if name.lower() == "x-request-id"] == ["mine-2"]
        with Clients(cluster.port, 8) as clients:
            eventually(lambda: clients.answered > 200, "answers")
            cluster.replicas()[0].kill()
            seen = clients.answered
            eventually(lambda: clients.answered > seen + 500, "answers of the other replica")
            cluster.wait_replicas(2)
        print(f"\nkill -9 of one of two replicas, HAProxy, 8 clients: {clients.answered}, {dict(clients.failures)}")
        assert clients.failed <= 8


def answers(cluster: RayCluster) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return cluster.send(get("/ping/")).status == 200
    return False
