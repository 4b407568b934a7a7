"""An ASGI app under gunicorn whose model lives in gunicorn's pool of processes for long work (dirty arbiter)."""

import io

import pandas as pd
from fastapi import FastAPI, Request
from fastapi.responses import Response
from gunicorn.dirty import DirtyApp, get_dirty_client_async

app = FastAPI()


class Model(DirtyApp):
    def init(self):
        from served_model import hooks, predictor

        self.custom, self.predict_frame = hooks(), predictor()

    def predict(self, body):
        return self.predict_frame(pd.read_csv(io.BytesIO(body)))

    def unstructured(self, body):
        return list(self.custom.score_unstructured(None, body, {}))


@app.get("/ping/")
async def ping():
    return {"message": "OK"}


@app.post("/predict/")
async def predict(request: Request):
    client = await get_dirty_client_async()
    return {
        "predictions": await client.execute_async("gunicorn_dirty_app:Model", "predict", bytes(await request.body()))
    }


@app.post("/predictUnstructured/")
async def unstructured(request: Request):
    client = await get_dirty_client_async()
    body = bytes(await request.body())
    text, described = await client.execute_async("gunicorn_dirty_app:Model", "unstructured", body)
    return Response(text, media_type=described["mimetype"])
