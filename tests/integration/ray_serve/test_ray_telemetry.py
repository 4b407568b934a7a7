"""What a replica tells those who watch it: metrics by Ray's own endpoint, spans of a request."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from support.environments.ray_environment import ray_python
from support.ray_serve.ray_cluster import RayCluster, application, arguments_of
from support.servers.backends import ROOT
from support.servers.faults import encoded, eventually, order
from support.servers.otlp import Collector
from support.wire import Request
from support.zoo import Zoo

pytestmark = pytest.mark.slow

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "a-secret-of-the-collector"
QUICK: Final[Mapping[str, str]] = {"RAY_metrics_report_interval_ms": "500", "OTEL_BSP_SCHEDULE_DELAY": "100"}


class Watched:
    """A Ray that serves the folder of faulty hooks, with one place to run and a queue of two."""

    def __init__(self, cluster: RayCluster, collector: Collector, home: Path) -> None:
        self.cluster, self.collector, self.home = cluster, collector, home

    def series(self) -> dict[str, float]:
        """What Ray's endpoint says, by name and labels of the series of ours."""
        (port,) = self.cluster.do("metrics_ports")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("ray_drum_")]
        return {series: float(value) for series, _, value in lines}

    def total(self, name: str, label: str = "") -> float | None:
        """The sum of a series; None where it is not exported."""
        found = [
            value
            for series, value in self.series().items()
            if series.partition("{")[0] == name and label in series and 'deployment="Model"' in series
        ]
        return sum(found) if found else None

    def has(self, event: str) -> bool:
        return (self.home / event).exists()


@pytest.fixture(scope="module")
def watched(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    home = tmp_path_factory.mktemp("ray")
    folder, path = zoo["faults"]
    args = {**arguments_of(folder, path), "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH": 2, "DRUM_BATCH_MAX_ROWS": 8}
    # More than slots and queue hold, or what is too much would wait in Ray's router.
    found = application(args, deployment={"max_ongoing_requests": 9})
    with Collector() as collector, RayCluster(ray_python(), home / "ray.log", env=QUICK) as cluster:
        variables = {
            "FAULTS_DIR": str(home),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-api-key={SECRET}",
            "OTEL_METRICS_EXPORTER": "none",
        }
        cluster.deploy({**found, "runtime_env": {"env_vars": variables}})
        yield Watched(cluster, collector, home)


def test_the_clients_trace_goes_on_in_the_replica(watched: Watched) -> None:
    request = order("echo", 7).with_headers(("traceparent", f"00-{TRACE}-{PARENT}-01"), ("X-Request-ID", "traced-1"))
    assert watched.cluster.send(request).status == 200
    watched.collector.wait_for(lambda seen: any(span["trace_id"] == TRACE for span in seen.spans))
    (span,) = [span for span in watched.collector.spans if span["trace_id"] == TRACE]
    assert (span["name"], span["parent"]) == ("drum.invocations", PARENT)
    assert {"drum.queue.duration_ms", "drum.model.duration_ms"} <= span["attributes"].keys()


def leaves(port: int, request: Request) -> socket.socket:
    """A client that has sent ``request`` and will not wait for the answer."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(encoded(request))
    return client


def test_rays_endpoint_has_our_series(watched: Watched) -> None:
    """And clients that leave give their places in the queue back, while the call before them still runs."""
    with ThreadPoolExecutor(3) as threads:
        running = threads.submit(watched.cluster.send, order("wait", 7))
        eventually(lambda: watched.has("begins"), "the call runs")
        with leaves(watched.cluster.port, order("echo", 3)), leaves(watched.cluster.port, order("echo", 4)):
            eventually(lambda: watched.total("ray_drum_executor_queue_depth") == 2, "two wait", 30)
            assert watched.total("ray_drum_executor_workers_busy") == 1
            assert watched.total("ray_drum_predictions_in_progress") == 1
            assert watched.cluster.send(order("echo", 5)).status == 503
        eventually(lambda: watched.total("ray_drum_executor_queue_depth") == 0, "they have left", 30)
        assert not running.done()
        # Two that stay are answered by one batch.
        stay = [threads.submit(watched.cluster.send, order("echo", number)) for number in (1, 2)]
        eventually(lambda: watched.total("ray_drum_executor_queue_depth") == 2, "two wait", 30)
        (watched.home / "go7").touch()
        assert [each.result(60).status for each in (running, *stay)] == [200] * 3
    (worker,) = watched.cluster.workers()
    worker.kill()
    eventually(lambda: watched.total("ray_drum_worker_restarts_total"), "the restart is counted", 30)
    assert watched.total("ray_drum_rejected_total", 'reason="queue_full"') == 1
    assert watched.total("ray_drum_batch_rows_count") == 1
    assert [watched.total("ray_drum_batch_rows_bucket", f'le="{rows}.0"') for rows in (1, 2)] == [0, 1]
    for name in ("queue_wait_seconds", "model_seconds"):
        assert watched.total(f"ray_drum_{name}_count")
    series = set(watched.series())
    assert all('application="model"' in each and "replica=" in each for each in series)
    exported = {re.sub(r"_(bucket|count|sum)$", "", each.partition("{")[0]) for each in series}
    assert exported == set(re.findall(r"`(ray_drum_\w+)`", (ROOT / "docs" / "ray.md").read_text()))
