"""``BENCH_WORKERS`` and ``BENCH_BATCH`` in the environment: rows as JSON, a Rust front before Python workers."""

import os

from mosec import Server, Worker
from served_model import rows_predictor


class Rows(Worker):
    def __init__(self):
        super().__init__()
        self.model = rows_predictor()

    def forward(self, data):
        return {"predictions": self.model(data["rows"])}


class BatchedRows(Rows):
    def forward(self, data):
        flat = iter(self.model([row for each in data for row in each["rows"]]))
        return [{"predictions": [next(flat) for _ in each["rows"]]} for each in data]


if __name__ == "__main__":
    server = Server()
    workers, batch = int(os.environ["BENCH_WORKERS"]), int(os.environ["BENCH_BATCH"])
    if batch > 1:
        server.append_worker(BatchedRows, num=workers, max_batch_size=batch, max_wait_time=2, route="/predict")
    else:
        server.append_worker(Rows, num=workers, route="/predict")
    server.run()
