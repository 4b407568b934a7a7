"""Rows as JSON, predictions as JSON; ``BENCH_WORKERS`` processes, adaptive batching with ``BENCH_BATCH``."""

import os

import bentoml
import numpy as np
from served_model import TIMEOUT, rows_predictor

BATCHING = {"batchable": True, "batch_dim": 0, "max_batch_size": 20_000, "max_latency_ms": 60_000}


@bentoml.service(workers=int(os.environ["BENCH_WORKERS"]), traffic={"timeout": TIMEOUT or 120, "concurrency": 1024})
class Rows:
    def __init__(self):
        self.model = rows_predictor()

    @bentoml.api(**(BATCHING if os.environ["BENCH_BATCH"] else {}))
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model(rows))

    @bentoml.api(**(BATCHING if os.environ["BENCH_BATCH"] else {}))
    def predict_mixed(self, rows: list) -> list:
        return self.model(rows)

    @bentoml.api(**(BATCHING if os.environ["BENCH_BATCH"] else {}))
    async def predict_async(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(await self.model(rows))
