"""The servers that are measured, in the order of the report."""

from __future__ import annotations

from benchmarks.contenders import (
    bentoml,
    drum,
    fastapi,
    gunicorn_dirty,
    kserve,
    litserve,
    mlflow,
    mlserver,
    mosec,
    ours,
    ray_serve,
)
from benchmarks.contenders.base import Contender
from benchmarks.workload.scenarios import UnknownNameError

CONTENDERS: tuple[Contender, ...] = (
    *drum.CONTENDERS,
    *ours.CONTENDERS,
    *fastapi.CONTENDERS,
    *litserve.CONTENDERS,
    *mlserver.CONTENDERS,
    *bentoml.CONTENDERS,
    *ray_serve.CONTENDERS,
    *mosec.CONTENDERS,
    *kserve.CONTENDERS,
    *gunicorn_dirty.CONTENDERS,
    *mlflow.CONTENDERS,
)
QUICK = ("drum", "ours")


def choose(names: list[str] | None, *, quick: bool) -> list[Contender]:
    """By name; all (or those of ``--quick``) without names. Raises UnknownNameError."""
    known = {contender.name: contender for contender in CONTENDERS}
    wanted = set(names or (QUICK if quick else known))
    for name in wanted - set(known):
        raise UnknownNameError(name)
    return [contender for contender in CONTENDERS if contender.name in wanted]
