"""Options of executors by the names of the settings in them. Batches and jitter are off unless a test asks for them."""

from __future__ import annotations

from typing import Any

from drum_litestar.execution.executor import ExecutorOptions
from drum_litestar.execution.pool.pool_options import PoolOptions
from drum_litestar.settings.groups.limits import TimeoutSettings
from drum_litestar.settings.groups.serving import AdmissionSettings, WorkerSettings

GROUPS: dict[str, type[AdmissionSettings | TimeoutSettings | WorkerSettings]] = {
    "admission": AdmissionSettings,
    "timeouts": TimeoutSettings,
    "workers": WorkerSettings,
}


def grouped(fields: dict[str, Any]) -> dict[str, Any]:
    """``fields`` with those of settings in their groups; ``workers`` is the number of them."""
    rest = {"batch_max_rows": 1, "max_requests_jitter": 0, **fields}
    if "workers" in rest:
        rest["count"] = rest.pop("workers")
    groups: dict[str, Any] = {}
    for name, group in GROUPS.items():
        groups[name] = group(**{field: rest.pop(field) for field in group.__struct_fields__ if field in rest})
    return {**groups, **rest}


def executor_options(**fields: Any) -> ExecutorOptions:
    """Of any executor."""
    return ExecutorOptions(**grouped(fields))


def pool_options(**fields: Any) -> PoolOptions:
    """Of a pool."""
    return PoolOptions(**grouped(fields))
