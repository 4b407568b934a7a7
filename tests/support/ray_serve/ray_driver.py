"""A Ray of one or several nodes on this machine, and Serve on it. Runs in an environment with Ray.

    python ray_driver.py REPLIES_FD '{"nodes": 1, "port": 8000, "num_cpus": 4, "num_gpus": 0}'

Reads one JSON command a line from standard input, and answers each with one JSON line at the file descriptor. All ends
with standard input.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.context import _get_global_client
from ray.serve.schema import ServeDeploySchema

STORE = 100 * 2**20
"""Bytes of each node's object store."""


class Driver:
    def __init__(self, nodes: int, port: int, num_cpus: int, num_gpus: int) -> None:
        self.cluster: Cluster | None = None
        self.added: list[Any] = []
        if nodes == 1:
            ray.init(
                num_cpus=num_cpus,
                object_store_memory=STORE,
                include_dashboard=False,
                num_gpus=num_gpus,
                log_to_driver=True,
            )
        else:
            node = {"num_cpus": num_cpus, "object_store_memory": STORE}
            self.cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
            self.added = [self.cluster.add_node(**node) for _ in range(nodes - 1)]
            self.cluster.wait_for_nodes()
            ray.init(address=self.cluster.address)
        location = "HeadOnly" if nodes == 1 else "EveryNode"
        serve.start(proxy_location=location, http_options={"host": "127.0.0.1", "port": port})

    def deploy(self, config: dict[str, Any]) -> None:
        """Replace all applications by those of a Serve config. Returns at once."""
        _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config))

    def run(self, target: str, args: dict[str, Any], name: str, route: str) -> None:
        """As ``serve run``: build here, and wait until it is up."""
        module, _, function = target.partition(":")
        application = getattr(__import__(module, fromlist=[function]), function)(args)
        serve.run(application, name=name, route_prefix=route)

    def delete(self, name: str) -> None:
        serve.delete(name)

    def status(self) -> Any:
        """Applications, their deployments, counts of replicas, messages."""
        return {
            name: {
                "status": str(application.status.value),
                "message": application.message,
                "deployments": {
                    key: {
                        "status": str(each.status.value),
                        "message": each.message,
                        "replicas": {str(getattr(k, "value", k)): v for k, v in each.replica_states.items()},
                    }
                    for key, each in application.deployments.items()
                },
            }
            for name, application in serve.status().applications.items()
        }

    def call(self, app: str, deployment: str, method: str, data: str, content_type: str = "text/csv") -> Any:
        """``handle.METHOD.remote(bytes)``; bytes travel in base 64."""
        handle = serve.get_deployment_handle(deployment, app)
        answer = getattr(handle, method).remote(base64.b64decode(data), content_type).result()
        return base64.b64encode(answer).decode()

    def call_frame(self, app: str, deployment: str, records: list[dict[str, Any]]) -> Any:
        """``handle.predict.remote(frame)`` as records."""
        import pandas as pd

        found = serve.get_deployment_handle(deployment, app).predict.remote(pd.DataFrame(records)).result()
        return found.to_dict(orient="records")

    def nodes(self) -> Any:
        """Raylets of the added nodes."""
        return [node.all_processes["raylet"][0].process.pid for node in self.added]

    def metrics_ports(self) -> Any:
        """Ports of the nodes' Prometheus endpoints."""
        return [node["MetricsExportPort"] for node in ray.nodes() if node["Alive"]]

    def where(self) -> Any:
        """The node of each replica's process, by pid."""
        from ray.util.state import list_actors

        return {actor.pid: actor.node_id for actor in list_actors() if actor.class_name.startswith("ServeReplica")}

    def ping(self) -> float:
        return time.time()


def main() -> None:
    replies = os.fdopen(int(sys.argv[1]), "w")
    driver = Driver(**json.loads(sys.argv[2]))
    print(json.dumps({"value": "up"}), file=replies, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"value": getattr(driver, command.pop("do"))(**command)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=replies, flush=True)
    serve.shutdown()
    ray.shutdown()
    if driver.cluster is not None:
        driver.cluster.shutdown()


if __name__ == "__main__":
    main()
