"""Settings of the served model: address, predictor, workers, admission."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from drum_litestar.settings.address import Address
from drum_litestar.settings.declaration import Option

MOST_THREADS: Final = 256
"""Most concurrent calls in one worker."""


class ListenSettings(msgspec.Struct, frozen=True):
    """Address and public names of the server."""

    address: Annotated[
        Address,
        Option(
            "ADDRESS",
            "bind address, required by 'server'; the port is 8080 unless given, IPv6 in brackets",
            flag="--address",
        ),
    ] = Address()
    probe_address: Annotated[
        Address | None,
        Option(
            "DRUM_PROBE_ADDRESS",
            "address of a second port, with probes and metrics only: plain HTTP, no token, no limits",
            default="none",
        ),
    ] = None
    grpc_address: Annotated[
        Address | None,
        Option(
            "DRUM_GRPC_ADDRESS",
            "address of a port for the Open Inference Protocol over gRPC; needs the extra grpc",
            default="none",
        ),
    ] = None
    url_prefix: Annotated[str | None, Option("URL_PREFIX", "path in front of every route, probes included")] = None
    server_type: Annotated[
        Literal["litestar", "fastapi", "uvicorn", "gunicorn", "werkzeug", "flask"] | None,
        Option(
            "DRUM_SERVER_TYPE",
            "what 'drum server' runs: the first three are this server, the last three DRUM's own",
            drum=True,
        ),
    ] = None
    info_server: Annotated[
        str, Option("DRUM_INFO_SERVER", "value of drumServer in /info/; DRUM's own is flask", word=True)
    ] = "litestar"
    docs: Annotated[
        bool, Option("DRUM_FASTAPI_ENABLE_DOCS", "serve the OpenAPI document, Swagger UI and Redoc under /docs/")
    ] = False
    console: Annotated[
        bool | None,
        Option(
            "DRUM_CONSOLE",
            "serve the console, a page that shows and asks the model, at /console/",
            default="false; true with --reload",
        ),
    ] = None
    forwarded_allow_ips: Annotated[
        str, Option("FORWARDED_ALLOW_IPS", "proxies whose X-Forwarded-* headers are trusted (comma list or *)")
    ] = "127.0.0.1,::1"


class ModelSettings(msgspec.Struct, frozen=True):
    """Choice and behaviour of the predictor."""

    predictor: Annotated[
        Literal["auto", "native", "drum"],
        Option(
            "DRUM_PREDICTOR",
            "predictor of the model: native (ours), drum (datarobot-drum's), or auto for the one that fits",
            flag="--predictor",
        ),
    ] = "auto"
    name: Annotated[
        str | None,
        Option(
            "DRUM_MODEL_NAME",
            "name of the model under /v2/models/ and /v1/models/",
            default="the model folder's name",
            never_empty="name",
        ),
    ] = None
    executor: Annotated[
        Literal["pool", "inline"],
        Option(
            "DRUM_EXECUTOR", "run the model in worker processes, or in the server's own (debugging)", flag="--executor"
        ),
    ] = "pool"
    reload: Annotated[
        bool,
        Option(
            "DRUM_RELOAD",
            "for development: load the model folder again when its files change",
            flag="--reload",
        ),
    ] = False
    single_output_is: Annotated[
        Literal["negative", "positive"],
        Option("DRUM_SINGLE_OUTPUT_IS", "class that the one output of a binary model without label names stands for"),
    ] = "negative"
    client_errors_4xx: Annotated[
        bool, Option("DRUM_CLIENT_ERRORS_4XX", "answer errors in the client's data with 422 instead of DRUM's 500")
    ] = False
    moderations_optional: Annotated[
        bool, Option("DRUM_MODERATIONS_OPTIONAL", "start without the moderation package although a config exists")
    ] = False
    shortcuts: Annotated[
        bool,
        Option(
            "DRUM_SHORTCUTS",
            "fast paths with the same bytes: CSV, batches, scikit-learn; false turns all off",
        ),
    ] = True


class WorkerSettings(msgspec.Struct, frozen=True):
    """Number and replacement of model worker processes."""

    count: Annotated[
        int,
        Option(
            "CUSTOM_MODEL_WORKERS",
            "model worker processes",
            low=1,
            high=199,
            aliases=("MAX_WORKERS",),
            drum=True,
            runtime_first=True,
            flag="--max-workers",
        ),
    ] = 1
    threads: Annotated[
        int | None,
        Option(
            "DRUM_FASTAPI_EXECUTOR_WORKERS",
            "concurrent calls in each worker; 256 only where all hooks that answer calls are async def",
            low=1,
            high=MOST_THREADS,
            default="1; text and agents 8; async def hooks 256; at least DRUM_WORKER_CONNECTIONS with gevent",
        ),
    ] = None
    worker_class: Annotated[
        Literal["sync", "gevent"],
        Option(
            "DRUM_GUNICORN_WORKER_CLASS",
            "with gevent calls of synchronous hooks may overlap too, here in threads",
            drum=True,
        ),
    ] = "sync"
    connections: Annotated[
        int,
        Option(
            "DRUM_WORKER_CONNECTIONS",
            f"with gevent: least default of DRUM_FASTAPI_EXECUTOR_WORKERS; above {MOST_THREADS} it counts as that",
            low=1,
            high=10_000,
            drum=True,
        ),
    ] = 5
    max_requests: Annotated[
        int,
        Option(
            "DRUM_UVICORN_MAX_REQUESTS",
            "calls after which a worker is replaced; 0 = never",
            low=0,
            high=100_000,
            old=("DRUM_GUNICORN_MAX_REQUESTS",),
        ),
    ] = 10_000
    max_requests_jitter: Annotated[
        int,
        Option(
            "DRUM_UVICORN_MAX_REQUESTS_JITTER",
            "each worker's number of calls is up to this much larger or smaller, at random",
            low=0,
            high=10_000,
            old=("DRUM_GUNICORN_MAX_REQUESTS_JITTER",),
        ),
    ] = 1000
    max_memory_mb: Annotated[
        int,
        Option(
            "DRUM_MAX_WORKER_MEMORY_MB", "resident memory after which a worker is replaced; 0 = none", low=0, unit="MB"
        ),
    ] = 0
    death_policy: Annotated[
        Literal["restart", "exit"],
        Option(
            "DRUM_WORKER_DEATH_POLICY",
            "restart: replace a worker that died; exit: end the server, so that an orchestrator notices",
        ),
    ] = "restart"
    python: Annotated[
        str | None,
        Option(
            "DRUM_WORKER_PYTHON",
            "Python that runs the workers: an interpreter, or a virtual environment's folder",
            default="the server's own",
            flag="--worker-python",
        ),
    ] = None
    user: Annotated[str | None, Option("DRUM_WORKER_USER", "user that the workers run as (needs root)")] = None

    @property
    def least_threads(self) -> int:
        """Concurrent calls in each worker of a model that may wait, by gunicorn's parameters."""
        return min(self.connections, MOST_THREADS) if self.worker_class == "gevent" else 1

    def concurrency(self, of_model: int, *, may_wait: bool = True) -> int:
        """Concurrent calls in each worker. ``of_model``: the model's own default (``ModelCard.concurrency``);
        ``may_wait``: as its card says."""
        return self.threads or (max(of_model, self.least_threads) if may_wait else of_model)


class AdmissionSettings(msgspec.Struct, frozen=True):
    """Queue and micro-batching."""

    queue_depth: Annotated[
        int | None,
        Option(
            "DRUM_FASTAPI_EXECUTOR_QUEUE_DEPTH",
            "calls that may wait for a slot; one more gets 503 at once",
            low=0,
            high=100_000,
            aliases=("DRUM_MAX_QUEUE_DEPTH",),
            default="1024, or slots x 10 if that is more",
        ),
    ] = None
    queue_memory: Annotated[
        int,
        Option(
            "DRUM_QUEUE_MEMORY",
            "memory for the bodies of queued calls together; above it bodies go to disk, whatever their size",
            low=0,
            unit="bytes",
        ),
    ] = 256 * 1000 * 1000
    queue_timeout: Annotated[
        float,
        Option(
            "DRUM_FASTAPI_EXECUTOR_QUEUE_TIMEOUT",
            "longest wait for a slot, then 503",
            above=0,
            high=3600,
            unit="s",
            aliases=("DRUM_BACKPRESSURE_TIMEOUT",),
        ),
    ] = 30.0
    ready_queue: Annotated[
        float | None,
        Option(
            "DRUM_READY_QUEUE",
            "share of the queue; while at least this much is taken, readiness says 503",
            above=0,
            high=1,
            default="off",
        ),
    ] = None
    max_concurrent: Annotated[
        int | None,
        Option("DRUM_MAX_CONCURRENT_REQUESTS", "most slots in use over all workers", low=1, high=100_000),
    ] = None
    batch_max_rows: Annotated[
        int | None,
        Option(
            "DRUM_BATCH_MAX_ROWS",
            "most rows in one batch; 1 = no batching; auto = calls that wait, if no answer can change",
            low=1,
            high=100_000,
            auto=True,
            default="`auto`",
        ),
    ] = None
    batch_max_wait_ms: Annotated[
        float,
        Option(
            "DRUM_BATCH_MAX_WAIT_MS",
            "longest wait for more calls, unless rows are auto; 0 = batch queued calls only",
            low=0,
            high=1000,
            unit="ms",
        ),
    ] = 0.0
