"""Hooks without the openai package, which return and yield dicts, texts and vectors, as ``params["do"]`` says."""

import asyncio


def load_model(code_dir):
    return "the model"


def message(text, **fields):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"id": "i", "object": "chat.completion", "created": 1, "model": "mm", "choices": [choice], **fields}


def chunk(text, finish_reason=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return {"id": "i", "object": "chat.completion.chunk", "created": 1, "model": "mm", "choices": [choice]}


async def slowly(items):
    for item in items:
        await asyncio.sleep(0)
        yield item


async def later(value):
    await asyncio.sleep(0)
    return value


def chat(params, model):
    tools = {"message": message, "chunk": chunk, "slowly": slowly, "later": later, "params": params}
    return eval(params["do"], tools)


def completion(params, model):
    return eval(params["do"], {"slowly": slowly, "later": later, "params": params})


def embed(params, model):
    """The length of each text, and the number of texts."""
    texts = [params["input"]] if isinstance(params["input"], str) else params["input"]
    return [[float(len(text)), float(len(texts))] for text in texts]
