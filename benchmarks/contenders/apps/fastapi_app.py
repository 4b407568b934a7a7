"""The routes of the benchmark on FastAPI: work in threads, so that probes are answered meanwhile."""

import io

import orjson
import pandas as pd
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from served_model import hooks, predictor

app = FastAPI()
custom = hooks()
predict_frame = predictor()


@app.get("/ping/")
async def ping():
    return {"message": "OK"}


def predict_body(body):
    return orjson.dumps({"predictions": predict_frame(pd.read_csv(io.BytesIO(body)))})


@app.post("/predict/")
async def predict(request: Request):
    return Response(await run_in_threadpool(predict_body, await request.body()), media_type="application/json")


@app.post("/predictUnstructured/")
async def unstructured(request: Request):
    text, described = await run_in_threadpool(custom.score_unstructured, None, await request.body(), {})
    return Response(text, media_type=described["mimetype"])


def events(request):
    for chunk in custom.chat(request, None):
        yield f"data: {chunk.to_json(indent=None)}\n\n"
    yield "data: [DONE]\n\n"


@app.post("/v1/chat/completions")
async def chat(request: Request):
    return StreamingResponse(events(await request.json()), media_type="text/event-stream")
