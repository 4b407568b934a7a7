"""A pipeline: asks two models of other applications, without HTTP, and joins what they say.

``POST /offers`` takes rows as CSV and answers JSON: for each row the price, and the probability that the customer
leaves.
"""

import asyncio
import io

import pandas as pd
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse


@serve.deployment(max_ongoing_requests=100, ray_actor_options={"num_cpus": 0.1})
class Offers:
    def __init__(self) -> None:
        self.prices = serve.get_deployment_handle("Model", app_name="prices")
        self.churn = serve.get_deployment_handle("Model", app_name="churn")

    async def __call__(self, request: Request) -> JSONResponse:
        rows = pd.read_csv(io.BytesIO(await request.body()))
        prices, churn = await asyncio.gather(self.prices.predict.remote(rows), self.churn.predict.remote(rows))
        return JSONResponse(
            [
                {"price": price, "leaves": leaves}
                for price, leaves in zip(prices["Predictions"], churn["yes"], strict=True)
            ]
        )


app = Offers.bind()
