"""Text targets and chat."""

from __future__ import annotations

from pathlib import Path

from support.zoo.artifacts import PREDICTION_SERVER, deployment_config, regression
from support.zoo.registry import copy_hooks, folder

NAMED = {"TARGET_NAME": "completion"}
LLM = {**NAMED, "MLOPS_RUNTIME_PARAM_LLM_ID": '{"type":"string","payload":"gpt-x"}'}
OPENAI = ("openai",)


@folder("text", "textgeneration", env=LLM)
@folder("vectordatabase", "vectordatabase", env=NAMED)
@folder("agenticworkflow", "agenticworkflow", env={"TARGET_NAME": '"completion"'})
@folder("geopoint_hooks", "geopoint")
def text(path: Path) -> None:
    copy_hooks("text", path)


@folder("prediction_server_text", "textgeneration", *PREDICTION_SERVER, env=NAMED)
def prediction_server_text(path: Path) -> None:
    text(path)
    deployment_config(path, name="completion", class_mapping=None, prediction_threshold=None)


@folder("chat_text", "textgeneration", env=NAMED, needs=OPENAI)
@folder("chat_agent", "agenticworkflow", env=NAMED, needs=OPENAI)
def chat(path: Path) -> None:
    copy_hooks("chat", path)


@folder("chat_regression", "regression", needs=("openai", "sklearn"))
def chat_regression(path: Path) -> None:
    """Chat beside a scikit-learn artifact; its hook takes two arguments."""
    regression(path)
    source = (
        "from chat_hooks import complete\n\n\ndef chat(params, model):\n    return complete(type(model).__name__)\n"
    )
    copy_hooks("chat", path)
    (path / "custom.py").rename(path / "chat_hooks.py")
    (path / "custom.py").write_text(source)


@folder("text_unstructured", "textgeneration", env=NAMED)
def text_unstructured(path: Path) -> None:
    """A text model that offers ``score_unstructured`` too (contract, Q-9)."""
    text(path)
    hook = "\n\ndef score_unstructured(model, data, **kwargs):\n    return f'{model} {data}'\n"
    (path / "custom.py").write_text((path / "custom.py").read_text() + hook)


@folder("async_text", "textgeneration", env=NAMED, needs=OPENAI, drum=False)
def async_text(path: Path) -> None:
    copy_hooks("async_text", path)


@folder("chat_plain", "textgeneration", env=NAMED, drum=False)
def chat_plain(path: Path) -> None:
    """Chat in dicts and texts, which DRUM refuses."""
    copy_hooks("chat_plain", path)
