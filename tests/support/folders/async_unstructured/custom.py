"""An unstructured hook written as a coroutine."""

import asyncio


async def load_model(code_dir):
    return "the model"


async def score_unstructured(model, data, **kwargs):
    await asyncio.sleep(0)
    return f"{model}: {data}"
