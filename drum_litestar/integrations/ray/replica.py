"""The deployment's class: what Ray calls in a replica."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any, Final

from drum_litestar.integrations.ray.application_arguments import Arguments, plan_of
from drum_litestar.integrations.ray.replica_server import ReplicaServer
from drum_litestar.integrations.ray.serve_logs import ServeLogs
from drum_litestar.integrations.ray.serve_metrics import ServeMetrics
from drum_litestar.media_types import CSV
from drum_litestar.middleware.asgi import ASGIApp
from drum_litestar.settings.masking import set_secrets

GAUGE_INTERVAL: Final = 5.0
"""Seconds between two readings of the gauges; Ray collects metrics every 10 s."""


class ModelReplica:
    """A replica: one ReplicaServer on the event loop of Ray's for user code.

    Ray's order: constructor, application, startup of its lifespan, ``reconfigure`` if there is a ``user_config``,
    ``check_health``, requests; at the end, when requests have ended, shutdown of the lifespan.
    """

    def __init__(self, arguments: Arguments) -> None:
        # The process is the replica's alone, and its model workers inherit what hooks read there.
        os.environ.update(arguments.environment)
        set_secrets(arguments.tokens, os.environ)
        plan = plan_of(arguments, os.environ)
        set_secrets(plan.spec.argv, os.environ)  # which now includes the runtime parameters' file
        logs = ServeLogs(plan.logging_level, all_frames=plan.show_stacktrace)
        self._metrics = ServeMetrics()
        self._server = ReplicaServer(plan, logs, self._metrics)
        self._user_config: Any = None
        self._in_service = False
        self._gauges: asyncio.Future[None] | None = None

    async def __serve_build_asgi_app__(self) -> ASGIApp:
        self._gauges = asyncio.ensure_future(self._show_gauges())
        return self._server.application()

    async def _show_gauges(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                self._metrics.show(self._server.executor.stats())
                await asyncio.sleep(GAUGE_INTERVAL)

    async def check_health(self) -> None:
        """Fails a deployment whose model cannot be loaded, and has Ray replace a replica without workers."""
        self._server.check_health()
        self._in_service = True

    async def reconfigure(self, user_config: Any) -> None:
        """Load the model folder again when ``user_config``, whatever it holds, has changed: make-before-break in each
        replica, which stays in service. An update of the arguments makes Ray replace the replicas instead."""
        # Ray also calls this before the replica is in service, and when only the replica's rank has changed.
        changed, self._user_config = user_config != self._user_config, user_config
        if changed and self._in_service:
            await self._server.reload()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Busy and waiting calls, and slots, for the policy ``queue_policy``."""
        return self._server.autoscaling_stats()

    async def predict(self, data: Any, content_type: str = CSV) -> Any:
        """For other deployments: ``await handle.predict.remote(frame_or_bytes)``. See ``ReplicaServer.predict``."""
        return await self._server.predict(data, content_type)
