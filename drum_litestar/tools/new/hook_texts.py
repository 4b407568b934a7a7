"""Texts of ``custom.py`` for new model folders. ``ASYNC`` and ``WAIT`` are filled in for synchronous or async hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drum_litestar.predictors.protocol import TargetType
from drum_litestar.tools.new.folder_texts import commands

HEAD: Final = '''\
"""The hooks of this model: the server calls these functions by their names.

Change them, and delete what you do not need. To try the folder:

    COMMAND
"""
'''

LOAD: Final = '''

def load_model(code_dir):
    """Called once in each worker process. What it returns is `model` in the other hooks; it must not be None.

    Without this hook the one artifact in the folder is loaded: .pkl, .pth, .onnx or .h5.
    Have a .pkl? Delete this function.
    """
    return json.loads((Path(code_dir) / "model.json").read_text())
'''

WAIT: Final = """\
    # async def: 256 requests wait at once in each worker. Await what waits (an HTTP client, a database); a model that
    # computes is better off with `def`.
    await asyncio.sleep(0)
"""

OPTIONAL: Final = '''

# Further hooks. Remove the "# " in front of one to use it.

# def init(code_dir):
#     """Called once in each worker process, right after this file is imported: set paths, seeds, logging."""

# ASYNCdef read_input_data(input_binary_data):
#     """Called with the bytes of each request, instead of reading them as CSV. What it returns is `data` below."""
#     return pd.read_csv(io.BytesIO(input_binary_data))  # import io

# ASYNCdef transform(data, model):
#     """Called with the rows before they are scored: prepare features. Must return a DataFrame."""
#     return data.fillna(0)

# ASYNCdef post_process(predictions, model):
#     """Called with the DataFrame of predictions, after they have been checked. Must return one of the same columns."""
#     return predictions
'''

_SCORE: Final = '''

ASYNCdef score(data, model, **kwargs):
    """Called for each request to /predict/.

    data: a DataFrame, the rows of the request (after `transform`, if there is that hook). model: see `load_model`.
    kwargs: binary_data (the request's bytes), mimetype, charset, sparse_colnames, target_type%(kwargs)s.
    Must return a DataFrame with one row for each row of data: %(returns)s
    """
WAIT'''

_SINGLE: Final = """column "Predictions". Further columns are
    sent along as extra output."""


def _score(body: str, returns: str = _SINGLE, kwargs: str = "") -> str:
    return _SCORE % {"returns": returns, "kwargs": kwargs} + body


REGRESSION: Final = _score("""\
    price = model["base"] + model["size"] * data["size"] + model["rooms"] * data["rooms"]
    return pd.DataFrame({"Predictions": price})
""")

ANOMALY: Final = _score("""\
    distance = (data["size"] - model["usual_size"]).abs() / model["usual_size"]
    return pd.DataFrame({"Predictions": distance})
""")

GEO_POINT: Final = _score("""\
    points = [f"POINT ({x} {y})" for x, y in zip(data["east"] + model["east"], data["north"] + model["north"])]
    return pd.DataFrame({"Predictions": points})
""")

BINARY: Final = _score(
    """\
    probability = 1 / (1 + np.exp(-(data["size"] - model["middle"]) / model["scale"]))
    return pd.DataFrame({"yes": probability, "no": 1 - probability})
""",
    "a column for each class, named as the\n    labels in model-metadata.yaml; their sum is 1.",
    ",\n    positive_class_label, negative_class_label",
)

MULTICLASS: Final = _score(
    """\
    sizes = np.array([model["sizes"][label] for label in model["labels"]])
    weights = np.exp(-np.abs(data[["size"]].to_numpy() - sizes) / model["scale"])
    return pd.DataFrame(weights / weights.sum(axis=1, keepdims=True), columns=model["labels"])
""",
    "a column for each class, named as the\n    labels in model-metadata.yaml; their sum is 1.",
    ",\n    class_labels",
)

MULTILABEL: Final = _score(
    """\
    share = (data["size"] / model["largest"]).clip(0, 1)
    return pd.DataFrame({"garden": share, "balcony": 1 - share, "lift": share**2})
""",
    "a column for each label, named as the\n    labels in model-metadata.yaml, with a probability of its own.",
    ",\n    class_labels",
)

_TEXT: Final = """a column with the texts, named as the
    target (the variable TARGET_NAME). Further columns are sent along as extra output."""

TEXT: Final = _score(
    """\
    return pd.DataFrame({"completion": [answer(prompt, model) for prompt in data["promptText"]]})
""",
    _TEXT,
)

PASSAGES: Final = _score(
    """\
    found = [json.dumps([text for text in model["passages"] if query.lower() in text.lower()])
             for query in data["query"]]
    return pd.DataFrame({"relevant": found})
""",
    _TEXT,
)

CHAT: Final = '''

def answer(prompt, model):
    """Stands where a language model would be asked."""
    return next((text for word, text in model["answers"].items() if word in prompt.lower()), model["otherwise"])
SCORE


ASYNCdef chat(completion_create_params, model, headers=None):
    """Called for each request to /chat/completions (leave `headers` out if you do not need them).

    completion_create_params: the request's JSON, as the openai package sends it. Must return a chat completion, or
    an iterable (or async generator) of chunks, which are sent as they come. The openai package's objects will do, and
    so will any objects of that shape: what counts is `object`. This server also takes dicts and plain texts; DRUM does
    not.
    """
WAIT    text = answer(completion_create_params["messages"][-1]["content"], model)
    if completion_create_params.get("stream"):
        return stream(text)
    message = SimpleNamespace(role="assistant", content=text)
    return envelope("chat.completion", message=message, finish_reason="stop")


ASYNCdef stream(text):
    for word in text.split(" "):
        delta = {"role": "assistant", "content": f"{word} "}
        yield envelope("chat.completion.chunk", delta=delta, finish_reason=None)
    yield envelope("chat.completion.chunk", delta={}, finish_reason="stop")


def envelope(kind, **choice):
    choices = [SimpleNamespace(index=0, **choice)]
    return SimpleNamespace(
        id=f"chatcmpl-{uuid.uuid4().hex}", object=kind, created=int(time.time()), model="example", choices=choices
    )
'''.replace("SCORE\n", TEXT)

OPTIONAL_TEXT: Final = '''

# ASYNCdef predict_stream(data, model):
#     """Called for each request to /predictionsStream/. Yields texts, which are sent as they come."""
#     yield "Hello"

# ASYNCdef get_supported_llm_models(model):
#     """Called for each request to /models. Must return a list of the openai package's Model objects."""
#     return []

# ASYNCdef completion(completion_create_params, model, headers=None):
#     """Called for each request to /v1/completions; without this hook `score` gets the prompts. Must return a text for
#     each prompt, or yield the pieces of one. DRUM does not have this."""
#     return answer(completion_create_params["prompt"], model)

# ASYNCdef embed(embedding_create_params, model, headers=None):
#     """Called for each request to /v1/embeddings. Must return a list of numbers for each input, which is a text or a
#     list of texts. DRUM does not have this."""
#     texts = embedding_create_params["input"]
#     return [[float(len(text))] for text in ([texts] if isinstance(texts, str) else texts)]
'''

TRANSFORM: Final = '''

ASYNCdef transform(data, model):
    """Called for each request to /transform/.

    data: a DataFrame, the rows of the request. With a third parameter the hook gets the target `y`, or None.
    Must return a DataFrame with one row for each row of data.
    """
WAIT    return data.assign(size_per_room=data["size"] / data["rooms"].clip(lower=model["fewest_rooms"]))


# Further hooks. Remove the "# " in front of one to use it.

# def init(code_dir):
#     """Called once in each worker process, right after this file is imported: set paths, seeds, logging."""

# ASYNCdef read_input_data(input_binary_data):
#     """Called with the bytes of each request, instead of reading them as CSV. What it returns is `data` above."""
#     return pd.read_csv(io.BytesIO(input_binary_data))  # import io
'''

UNSTRUCTURED: Final = '''

ASYNCdef score_unstructured(model, data, query, headers=None, **kwargs):
    """Called for each request to /predictUnstructured/, with whatever it holds.

    data: text for a Content-Type of text/... or application/json, else bytes. query: the parameters of the URL.
    headers: those of the request. kwargs: mimetype, charset.
    Must return text, bytes or None; or one of them and a dict with `mimetype` and, for text, `charset`.
    """
WAIT    words = data.split() if isinstance(data, str) else data.decode("utf-8", "replace").split()
    longest = max(words, key=len, default="")[: model["longest"]]
    return json.dumps({"words": len(words), "longest": longest}), {"mimetype": "application/json"}


# Further hooks. Remove the "# " in front of one to use it.

# def init(code_dir):
#     """Called once in each worker process, right after this file is imported: set paths, seeds, logging."""
'''

HOOKS: Final[Mapping[TargetType, str]] = {
    TargetType.REGRESSION: REGRESSION + OPTIONAL,
    TargetType.ANOMALY: ANOMALY + OPTIONAL,
    TargetType.GEO_POINT: GEO_POINT + OPTIONAL,
    TargetType.BINARY: BINARY + OPTIONAL,
    TargetType.MULTICLASS: MULTICLASS + OPTIONAL,
    TargetType.MULTILABEL: MULTILABEL + OPTIONAL,
    TargetType.TEXT_GENERATION: CHAT + OPTIONAL + OPTIONAL_TEXT[1:],
    TargetType.AGENTIC_WORKFLOW: CHAT + OPTIONAL + OPTIONAL_TEXT[1:],
    TargetType.VECTOR_DATABASE: PASSAGES + OPTIONAL,
    TargetType.TRANSFORM: TRANSFORM,
    TargetType.UNSTRUCTURED: UNSTRUCTURED,
}


def custom_py(target_type: TargetType, *, asynchronous: bool) -> str:
    """The text of ``custom.py``; its imports are those that it uses."""
    hooks = LOAD + HOOKS[target_type]
    hooks = hooks.replace("ASYNCdef", "async def" if asynchronous else "def")
    hooks = hooks.replace("WAIT", WAIT if asynchronous else "")
    standard = [f"import {name}" for name in ("asyncio", "json", "time", "uuid") if f"{name}." in hooks]
    standard.append("from pathlib import Path")
    standard += ["from types import SimpleNamespace"] if "SimpleNamespace(" in hooks else []
    others = ["import numpy as np"] if "np." in hooks else []
    others += ["import pandas as pd"] if "pd." in hooks else []
    blocks = ["\n".join(block) for block in (standard, others) if block]
    return HEAD.replace("COMMAND", commands(target_type, ".").check) + "\n" + "\n\n".join(blocks) + "\n" + hooks
