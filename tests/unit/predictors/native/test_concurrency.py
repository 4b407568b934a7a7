"""Default concurrency of a model."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from drum_litestar.predictors.native.concurrency import ASYNCHRONOUS, is_asynchronous, model_concurrency
from drum_litestar.predictors.protocol import TargetType

LOAD = "def load_model(d): return 1\n"
SCORE = "async def score(data, model, **kw): return data\n"
CHAT = "async def chat(params, model): return []\n"
SYNC = "def score(data, model, **kw): return data\n"
REGRESSION, TEXT, AGENT = TargetType.REGRESSION, TargetType.TEXT_GENERATION, TargetType.AGENTIC_WORKFLOW
TRANSFORM, UNSTRUCTURED = TargetType.TRANSFORM, TargetType.UNSTRUCTURED


@pytest.mark.parametrize(
    ("code", "target", "expected"),
    [
        (SYNC, REGRESSION, 1),
        (SYNC, TEXT, 8),
        (SYNC, AGENT, 8),
        (SCORE, REGRESSION, ASYNCHRONOUS),
        (SCORE, TEXT, ASYNCHRONOUS),
        (CHAT, AGENT, ASYNCHRONOUS),
        (SCORE + CHAT, TEXT, ASYNCHRONOUS),
        ("async def chat(params, model):\n    yield 1\n", TEXT, ASYNCHRONOUS),
        ("async def score_unstructured(model, data, **kw): return data\n", UNSTRUCTURED, ASYNCHRONOUS),
        ("def score_unstructured(model, data, **kw): return data\n", UNSTRUCTURED, 1),
        ("async def transform(data, model): return data\n", TRANSFORM, ASYNCHRONOUS),
        ("def transform(data, model): return data\n", TRANSFORM, 1),
        # one synchronous hook is enough for the default of the target
        (SYNC + CHAT, TEXT, 8),
        (SCORE + "def chat(params, model): return []\n", TEXT, 8),
        (SCORE + "def read_input_data(data): return data\n", REGRESSION, 1),
        (SCORE + "def post_process(frame, model): return frame\n", REGRESSION, 1),
        (SCORE + "def predict_stream(data, model): yield 'x'\n", REGRESSION, 1),
        (CHAT + "def score_unstructured(model, data, **kw): return data\n", TEXT, 8),
        (CHAT + "def embed(params, model): return []\n", TEXT, 8),
        (CHAT + "def embed(text): return []\n", TEXT, ASYNCHRONOUS),  # a helper
        ("async def completion(params, model): return ''\n", TEXT, ASYNCHRONOUS),
        # hooks outside predictions do not count
        (CHAT + "def get_supported_llm_models(model): return []\ndef init(**kw): pass\n", TEXT, ASYNCHRONOUS),
        ("async def init(**kw): pass\n" + SYNC, REGRESSION, 1),
    ],
)
def test_by_hooks_and_target(load_folder: Any, code: str, target: TargetType, expected: int) -> None:
    fields = {"target_name": "t"} if target in (TEXT, AGENT) else {}
    assert model_concurrency(load_folder({"custom.py": LOAD + code}, target, **fields)) == expected


@pytest.mark.parametrize(("function", "expected"), [("def", 1), ("async def", ASYNCHRONOUS)])
def test_a_predict_stream_method_of_the_model(load_folder: Any, function: str, expected: int) -> None:
    model = f"class Model:\n    {function} predict_stream(self, data):\n        yield 'x'\n"
    code = model + "def load_model(d): return Model()\n" + SCORE
    assert model_concurrency(load_folder({"custom.py": code}, REGRESSION)) == expected


@pytest.mark.parametrize("target", [REGRESSION, TRANSFORM])
def test_an_artifact_with_asynchronous_hooks(load_folder: Any, target: TargetType) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    scaling = pytest.importorskip("sklearn.preprocessing")
    rows = np.array([[0.0], [1.0]])
    model = linear.LinearRegression().fit(rows, [0.0, 1.0]) if target is REGRESSION else scaling.StandardScaler()
    around = "async def read_input_data(data): return data\n"
    assert model_concurrency(load_folder({"model.pkl": model, "custom.py": around}, target)) == 1


def test_what_is_asynchronous() -> None:
    async def coroutine() -> None: ...

    async def generator() -> Any:
        yield 1

    class Callable:
        async def __call__(self) -> None: ...

    @functools.wraps(coroutine)
    def wrapper() -> Any:  # its code before the coroutine is synchronous
        return coroutine()

    assert all(map(is_asynchronous, (coroutine, generator, Callable(), functools.partial(coroutine))))
    assert not any(map(is_asynchronous, (wrapper, print, lambda: None, None)))
