"""A Ray of one node with one application: ``python ray_app.py ours|plain PORT REPLICAS WORKERS ARGS_AS_JSON``.

``plain`` is a deployment as Ray's own documentation writes one for a scikit-learn model.
"""

import json
import os
import signal
import sys
import threading

import ray
from ray import serve
from starlette.requests import Request

KIND, PORT, REPLICAS, WORKERS, ARGS = sys.argv[1:]


@serve.deployment(num_replicas=int(REPLICAS), max_ongoing_requests=1024, ray_actor_options={"num_cpus": 0.5})
class Rows:
    def __init__(self):
        from served_model import is_async, rows_predictor

        self.model, self.is_async = rows_predictor(), is_async()

    async def __call__(self, request: Request):
        payload = await request.json()
        found = self.model(payload["rows"])
        return {"predictions": await found if self.is_async else found}


def application():
    if KIND == "plain":
        return Rows.bind()
    from drum_litestar.integrations.ray import build

    return build({**json.loads(ARGS), "workers": int(WORKERS), "num_replicas": int(REPLICAS), "num_cpus": 0.5})


stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
ray.init(
    num_cpus=4,
    object_store_memory=100 * 2**20,
    include_dashboard=False,
    log_to_driver=False,
    runtime_env={"env_vars": {"MODEL_DIR": os.environ["MODEL_DIR"], "PYTHONPATH": os.environ["PYTHONPATH"]}},
)
timeout = float(os.environ.get("BENCH_TIMEOUT", 0)) or None
serve.start(http_options={"host": "127.0.0.1", "port": int(PORT), "request_timeout_s": timeout})
serve.run(application(), name="model", route_prefix="/" if KIND == "ours" else "/predict")
stopped.wait()
ray.shutdown()
