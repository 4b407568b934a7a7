"""A text model on hooks alone: CSV predictions, chat answered at once or as a stream. It needs no further package.

Chat answers may be the openai package's objects (see the example ``textgeneration_openai``) or, as here, any objects
of the same shape: what counts is their ``object`` attribute.
"""

import time
from types import SimpleNamespace

import pandas as pd

ANSWERS = {"station": "Straight on, then left at the bridge.", "café": "Just around the corner."}


class Guide:
    """Stands where a language model would."""

    def answer(self, prompt):
        return next((text for word, text in ANSWERS.items() if word in prompt.lower()), "I do not know.")


def load_model(code_dir):
    return Guide()


def score(data, model, **kwargs):
    """One completion for each row; the column's name is the target name of the deployment."""
    return pd.DataFrame({"completion": [model.answer(prompt) for prompt in data["promptText"]]})


def envelope(kind, **choice):
    return SimpleNamespace(
        id="chatcmpl-example",
        object=kind,
        created=int(time.time()),
        model="guide",
        choices=[SimpleNamespace(index=0, **choice)],
    )


def stream(text):
    """Word by word; each chunk is sent as soon as it is yielded."""
    for word in text.split(" "):
        delta = {"role": "assistant", "content": f"{word} "}
        yield envelope("chat.completion.chunk", delta=delta, finish_reason=None)
    yield envelope("chat.completion.chunk", delta={}, finish_reason="stop")


def chat(completion_create_params, model):
    text = model.answer(completion_create_params["messages"][-1]["content"])
    if completion_create_params.get("stream"):
        return stream(text)
    message = SimpleNamespace(role="assistant", content=text)
    return envelope("chat.completion", message=message, finish_reason="stop")
