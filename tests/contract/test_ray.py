"""The contract's cases through Ray Serve's proxy, in a real Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from contract.cases import all_cases
from support.cases import Case
from support.environments.ray_environment import ray_python
from support.ray_serve.ray_cluster import RayCluster, RayError, application, arguments_of
from support.servers.fleet import require
from support.wire import get
from support.zoo import Zoo

DIFFERENT: Final[dict[tuple[str, str], str]] = {
    ("regression", "server header"): "Ray's proxy is a uvicorn that adds its own Server and Date",
    ("unstructured", "raises a user error of no known status"): "that uvicorn closes the connection at status 600",
}
"""Cases that Ray's proxy answers in its own way, by folder and name, and why."""


class RayServing:
    """One Ray for all cases; the folder of the last case is served."""

    def __init__(self, cluster: RayCluster, zoo: Zoo) -> None:
        self.cluster = cluster
        self.zoo = zoo
        self.current = ""
        self.failed: dict[str, str] = {}

    def serve(self, name: str) -> Path:
        require(name)
        if name in self.failed:
            pytest.fail(self.failed[name])
        folder, path = self.zoo[name]
        if name != self.current:
            try:
                self.cluster.deploy(application(arguments_of(folder, path)))
            except RayError as error:
                self.failed[name] = str(error)
                raise
            self.current = name
        return path


@pytest.fixture(scope="module")
def serving(zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayServing]:
    with RayCluster(ray_python(), tmp_path_factory.mktemp("ray") / "ray.log") as cluster:
        yield RayServing(cluster, zoo)


def parameters() -> Iterator[Any]:
    for folder, cases in all_cases().items():
        for case in cases:
            yield pytest.param(folder, case, id=f"{folder}-{case.name}")


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "case"), list(parameters()))
def test_case(serving: RayServing, folder: str, case: Case) -> None:
    path = serving.serve(folder)
    answer = serving.cluster.send(case.request)
    if (folder, case.name) in DIFFERENT:
        with pytest.raises(AssertionError):
            case.check(answer, path)
        return
    case.check(answer, path)
    if case.status >= 400:
        assert serving.cluster.send(get("/ping/")).status == 200
