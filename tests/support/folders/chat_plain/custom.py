"""A chat hook without the openai package: it returns and yields dicts and texts, as ``params["do"]`` says."""

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
