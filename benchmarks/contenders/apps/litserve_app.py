"""``litserve_app.py PORT WORKERS BATCH``: rows as JSON, predictions as JSON."""

import sys
from itertools import chain

import litserve as ls
from served_model import TIMEOUT, is_async, rows_predictor


class Api(ls.LitAPI):
    def setup(self, device):
        self.model = rows_predictor()

    def decode_request(self, request):
        return request["rows"]

    def predict(self, rows):
        return self.model(rows)

    def encode_response(self, predictions):
        return {"predictions": predictions}


class AsyncApi(Api):
    async def decode_request(self, request):
        return super().decode_request(request)

    async def predict(self, rows):
        return await self.model(rows)

    async def encode_response(self, predictions):
        return super().encode_response(predictions)


class BatchedApi(Api):
    def predict(self, batch):
        flat = iter(super().predict(list(chain.from_iterable(batch))))
        return [[next(flat) for _ in rows] for rows in batch]

    def batch(self, inputs):
        return inputs

    def unbatch(self, output):
        return output


if __name__ == "__main__":
    port, workers, batch = map(int, sys.argv[1:])
    if batch > 1:
        api = BatchedApi(max_batch_size=batch, batch_timeout=0.002)
    else:
        api = AsyncApi(enable_async=True) if is_async() else Api()
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=workers, timeout=TIMEOUT or 30)
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)
