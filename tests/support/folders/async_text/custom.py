"""Hooks written as coroutines; chat answers from an asynchronous generator."""

import asyncio

import pandas as pd
from openai.types.chat import ChatCompletionChunk


async def load_model(code_dir):
    await asyncio.sleep(0)
    return "the model"


async def score(data, model, **kwargs):
    await asyncio.sleep(0)
    return pd.DataFrame({"completion": [f"{model}: {value}" for value in data.iloc[:, 0]]})


async def stream(words):
    for word in words:
        await asyncio.sleep(0)
        yield ChatCompletionChunk(
            id="id1",
            choices=[{"delta": {"content": word}, "index": 0, "finish_reason": None}],
            created=1700000000,
            model="mm",
            object="chat.completion.chunk",
        )


async def chat(params, model):
    return stream(params["messages"][-1]["content"].split())
