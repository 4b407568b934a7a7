"""The routes of the benchmark on FastAPI: work in threads, so that probes are answered meanwhile."""

import asyncio
import functools
import inspect
import io

import orjson
import pandas as pd
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from served_model import TIMEOUT, hooks, is_async, predictor

app = FastAPI()
custom = hooks()
predict_frame = predictor()


@app.get("/ping/")
async def ping():
    return {"message": "OK"}


def encode(predictions):
    return orjson.dumps({"predictions": predictions})


def predict_body(body):
    return encode(predict_frame(pd.read_csv(io.BytesIO(body))))


async def predict_body_async(body):
    return encode(await predict_frame(await run_in_threadpool(pd.read_csv, io.BytesIO(body))))


call = predict_body_async if is_async() else functools.partial(run_in_threadpool, predict_body)


@app.post("/predict/")
async def predict(request: Request):
    try:
        answer = await asyncio.wait_for(call(await request.body()), TIMEOUT)
    except asyncio.TimeoutError:  # the thread cannot be ended
        return Response(status_code=504)
    return Response(answer, media_type="application/json")


@app.post("/predictUnstructured/")
async def unstructured(request: Request):
    text, described = await run_in_threadpool(custom.score_unstructured, None, await request.body(), {})
    return Response(text, media_type=described["mimetype"])


def events(request):
    for chunk in custom.chat(request, None):
        yield f"data: {chunk.to_json(indent=None)}\n\n"
    yield "data: [DONE]\n\n"


async def events_async(request):
    async for chunk in custom.chat(request, None):
        yield f"data: {chunk.to_json(indent=None)}\n\n"
    yield "data: [DONE]\n\n"


@app.post("/v1/chat/completions")
async def chat(request: Request):
    stream = events_async if inspect.isasyncgenfunction(custom.chat) else events
    return StreamingResponse(stream(await request.json()), media_type="text/event-stream")
