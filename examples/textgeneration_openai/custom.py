"""The same text model with the openai package's own objects (``pip install openai``)."""

import time

import pandas as pd
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk


def load_model(code_dir):
    return "echo"


def score(data, model, **kwargs):
    return pd.DataFrame({"completion": [f"{model}: {prompt}" for prompt in data["promptText"]]})


def chunk(delta, finish_reason=None):
    return ChatCompletionChunk(
        id="chatcmpl-example",
        object="chat.completion.chunk",
        created=int(time.time()),
        model="echo",
        choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    )


def chat(completion_create_params, model):
    text = completion_create_params["messages"][-1]["content"]
    if completion_create_params.get("stream"):
        return (chunk({"role": "assistant", "content": f"{word} "}) for word in text.split(" "))
    return ChatCompletion(
        id="chatcmpl-example",
        object="chat.completion",
        created=int(time.time()),
        model="echo",
        choices=[{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    )


def get_supported_llm_models(model):
    return [Model(id="echo", object="model", created=1700000000, owned_by="examples")]
