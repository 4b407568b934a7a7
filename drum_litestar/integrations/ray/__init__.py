"""This server inside Ray Serve: ``serve run drum_litestar.integrations.ray:build code_dir=...``.

Ray listens, routes, scales and restarts; each replica runs the executor, the middleware and the application of the
server, without sockets and signals. Nothing here imports Ray before :func:`build` is called.
"""

from drum_litestar.integrations.ray.application import build
from drum_litestar.integrations.ray.autoscaling import queue_policy

__all__ = ["build", "queue_policy"]
