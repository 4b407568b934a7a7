"""Functions of ``custom.py`` that are nearly hooks, and hooks that cannot be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.protocol import TargetType

LoadFolder = Callable[..., LoadedModel]

MODEL = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
SCORE = "def score(data, model, **kwargs): return data\n"
LOAD = "def load_model(code_dir): return 1\n"
TEXT = TargetType.TEXT_GENERATION


def warnings(
    load_folder: LoadFolder, code: str, target: TargetType = TargetType.REGRESSION, **fields: Any
) -> list[str]:
    return load_folder({"custom.py": code, "m.pkl": MODEL}, target, **fields).warnings


def test_a_misspelt_hook(load_folder: LoadFolder) -> None:
    assert warnings(load_folder, "def scores(data, model, **kwargs): return data\ndef _score(): pass\n") == [
        "custom.py: scores() is not a hook; did you mean score(data, model, **kwargs)?"
    ]


def test_helpers_are_not_misspelt_hooks(load_folder: LoadFolder) -> None:
    helpers = "from os.path import join as scores\ndef scorer(): pass\ndef preprocess(data): return data\nscored = 1\n"
    assert warnings(load_folder, helpers + SCORE) == []


def test_a_misspelt_hook_is_named_where_the_load_fails(load_folder: LoadFolder) -> None:
    with pytest.raises(ModelLoadError) as caught:
        load_folder({"custom.py": "def load_models(code_dir): return 1\n" + SCORE})
    assert "Could not find model artifact file" in caught.value.reason
    assert caught.value.remedy == "custom.py: load_models() is not a hook; did you mean load_model(code_dir)?"


def test_no_hook_at_all(load_folder: LoadFolder) -> None:
    (warning,) = warnings(load_folder, "def predict(data): return data\n")
    assert warning.startswith(
        "custom.py has no hook, so that it is only imported: it defines predict(); hooks are init"
    )
    assert warning.endswith("Predictions come from score(data, model, **kwargs).")


def test_hooks_of_other_targets(load_folder: LoadFolder) -> None:
    code = LOAD + SCORE + "def score_unstructured(model, data, **kwargs): return data\n"
    assert warnings(load_folder, code, TargetType.UNSTRUCTURED) == [
        "custom.py: score() is not called, because the target type is unstructured."
    ]


@pytest.mark.parametrize(
    ("code", "target", "text"),
    [
        ("def score(data, model): return data", TargetType.REGRESSION, "score(data, model) cannot be called"),
        ("def score(data, **kwargs): return data", TargetType.REGRESSION, "Define score(data, model, **kwargs)."),
        ("async def score(data): return data", TargetType.REGRESSION, "score(data) cannot be called"),
        ("score = 7", TargetType.REGRESSION, "score is not a function"),
        (SCORE + "def transform(data): return data", TargetType.REGRESSION, "Define transform(data, model)."),
        (SCORE + "def read_input_data(): return 1", TargetType.REGRESSION, "Define read_input_data(data)."),
        (SCORE + "def post_process(data): return 1", TargetType.REGRESSION, "Define post_process(predictions, model)."),
        ("def chat(params): return 1", TEXT, "Define chat(params, model, **kwargs)."),
        ("def chat(params, model, request): return 1", TEXT, "Define chat(params, model, **kwargs)."),
    ],
)
def test_hooks_that_cannot_be_called(load_folder: LoadFolder, code: str, target: TargetType, text: str) -> None:
    (warning,) = warnings(load_folder, code + "\n", target, target_name="answer")
    assert text in warning


@pytest.mark.parametrize(
    ("code", "target"),
    [
        (SCORE, TargetType.REGRESSION),
        ("def score(*args, **kwargs): return args[0]", TargetType.REGRESSION),
        (
            "import functools\ndef plain(data, model): return data\n"
            "@functools.wraps(plain)\ndef score(data, model, **kwargs): return plain(data, model)\n",
            TargetType.REGRESSION,
        ),
        (
            "class Scorer:\n    def __call__(self, data, model, **kwargs): return data\nscore = Scorer()",
            TargetType.BINARY,
        ),
        ("def chat(params, model): return 1", TEXT),
        ("def chat(params, model, headers=None): return 1", TEXT),
        ("def transform(data, model, y): return data", TargetType.TRANSFORM),
        (SCORE + "def transform(data, model): return data", TargetType.MULTICLASS),
    ],
)
def test_hooks_that_can(load_folder: LoadFolder, code: str, target: TargetType) -> None:
    labels = {"positive_class_label": "a", "negative_class_label": "b", "class_labels": ("a", "b")}
    assert warnings(load_folder, code + "\n", target, target_name="answer", **labels) == []


EMBED = "embed(params, model, **kwargs)"


@pytest.mark.parametrize(
    ("code", "hooked"),
    [
        ("def embed(params, model): return 1", True),
        ("async def embed(embedding_create_params, model, **kwargs): return 1", True),
        ("def embed(params, model, headers): return 1", True),
        ("def embed(*args, headers=None): return 1", True),
        ("class Embedder:\n    def __call__(self, params, model): return 1\nembed = Embedder()", True),
        ("def embed(text): return 1", False),
        ("def embed(texts, model='small'): return 1", False),
        ("def embed(texts, model, size): return 1", False),
    ],
)
def test_a_helper_is_not_taken_for_a_hook_that_drum_does_not_have(
    load_folder: LoadFolder, code: str, hooked: bool
) -> None:
    loaded = load_folder({"custom.py": SCORE + code + "\n", "m.pkl": MODEL})
    assert ("embed" in loaded.hooks.names) is hooked
    assert loaded.warnings == (
        [] if hooked else [f"custom.py: embed() is no hook: it has other arguments than {EMBED}."]
    )


def test_a_library_is_not_taken_for_a_hook(load_folder: LoadFolder) -> None:
    code = "from shutil import copy2 as completion\nfrom own import embed\n" + SCORE
    own = "def embed(params, model): return 1\n"
    loaded = load_folder({"custom.py": code, "own.py": own, "m.pkl": MODEL})
    assert (loaded.hooks.names, loaded.warnings) == (("score", "embed"), [])


def test_a_helper_of_an_unstructured_model(load_folder: LoadFolder) -> None:
    code = LOAD + "def score_unstructured(model, data, **kwargs): return data\ndef embed(params, model): return 1\n"
    assert warnings(load_folder, code, TargetType.UNSTRUCTURED) == []


def test_a_load_hook_that_cannot_be_called(load_folder: LoadFolder) -> None:
    with pytest.raises(ModelLoadError) as caught:
        load_folder({"custom.py": "def load_model(): return 1\n" + SCORE})
    assert "'load_model' hook failed to load the model. Exception: TypeError" in caught.value.reason
    assert caught.value.remedy.endswith("Define load_model(code_dir).")


def test_a_task_has_no_hooks(load_folder: LoadFolder) -> None:
    code = (
        "import pickle\nfrom datarobot_drum.custom_task_interfaces import RegressionEstimatorInterface\n"
        "class CustomTask(RegressionEstimatorInterface):\n"
        "    @classmethod\n    def load(cls, code_dir): return cls()\n"
        "def scores(): pass\n"
    )
    assert warnings(load_folder, code) == []
