"""Moderation with a replacement for ``datarobot_dome`` that has its interface (contract, 4.15)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.protocol import ModelCall, Payload, StreamReply, TargetType
from native_serving import openai_call

DOME = """
import sys
from pathlib import Path
def moderation_pipeline_factory(target_type, model_dir):
    assert "custom" not in sys.modules
    if Path(model_dir, "moderation_config.yaml").read_text() == "broken": raise ValueError("bad guard")
    if Path(model_dir, "moderation_config.yaml").read_text() == "mute": raise KeyError
    return Pipeline(target_type)

class Pipeline:
    def __init__(self, target_type): self.target_type = target_type
    def score(self, data, model, score_fn, **kwargs):
        frame = score_fn(data, model, **kwargs)
        frame = frame.rename(columns={"answer": "completion"})
        frame["blocked"] = [text == "bad" for text in frame["completion"]]
        return frame
    def chat(self, params, model, chat_fn, association_id, **kwargs):
        if params["messages"][-1]["content"] == "bad": raise ValueError("blocked " + association_id)
        return chat_fn(params, model, **kwargs)
"""
CUSTOM = """
import pandas as pd
from types import SimpleNamespace as N
def load_model(d): return "m"
def score(data, model, **kwargs): return pd.DataFrame({"answer": list(data["promptText"])})
def chat(params, model, headers): return N(object="chat.completion", choices=[N(message=N(content=headers["X-A"]))])
def predict_stream(data, model): yield "unguarded"
def score_unstructured(model, data, **kwargs): return "unguarded"
"""


@pytest.fixture
def dome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package = tmp_path / "site" / "datarobot_dome"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "drum_integration.py").write_text(DOME)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield
    for name in ("datarobot_dome", "datarobot_dome.drum_integration"):
        sys.modules.pop(name, None)


def moderated(serve_folder: Any, config: str = "guards", **fields: Any) -> Any:
    files = {"custom.py": CUSTOM, "moderation_config.yaml": config}
    return serve_folder(files, TargetType.TEXT_GENERATION, target_name="answer", **fields)


def test_guards_are_not_passed_by_for_completions(serve_folder: Any, dome: None) -> None:
    hooks = CUSTOM + "def completion(params, model): return 'unguarded'\ndef embed(params, model): return [1.0]\n"
    files = {"custom.py": hooks, "moderation_config.yaml": "guards"}
    predictor = serve_folder(files, TargetType.TEXT_GENERATION, target_name="answer")
    assert [text.split("()")[0] for text in predictor._card.warnings] == ["custom.py: completion", "custom.py: embed"]
    reply = predictor.handle(openai_call("completion", {"prompt": ["good", "bad"]}))
    assert [choice["text"] for choice in json.loads(reply.body)["choices"]] == ["good", "bad"], "asked of score()"


def predict(kind: str = "predict") -> ModelCall:
    body = b"promptText\ngood\nbad\n"
    return ModelCall(kind=kind, x=Payload(data=body, size=len(body), mimetype="text/csv"))  # type: ignore[arg-type]


def chat(text: str) -> ModelCall:
    body = json.dumps({"messages": [{"role": "user", "content": text}], "datarobot_association_id": "i1"}).encode()
    return ModelCall(
        kind="chat", body=Payload(data=body, size=len(body), mimetype="application/json"), headers=(("X-A", "1"),)
    )


@pytest.mark.usefixtures("dome")
def test_score_and_chat_pass_through_the_guards(serve_folder: Any) -> None:
    predictor = moderated(serve_folder)
    answer = json.loads(predictor.handle(predict()).body)
    assert answer["predictions"] == ["good", "bad"]
    assert answer["extraModelOutput"]["columns"] == ["blocked"]
    assert answer["extraModelOutput"]["data"] == [[False], [True]]
    assert json.loads(predictor.handle(chat("fine")).body)["choices"][0]["message"]["content"] == "1"
    refused = predictor.handle(chat("bad"))
    assert (refused.status, json.loads(refused.body)) == (500, {"message": "ERROR: blocked i1"})


@pytest.mark.usefixtures("dome")
def test_no_route_bypasses_the_guards(serve_folder: Any) -> None:
    predictor = moderated(serve_folder)
    streamed = predictor.handle(predict("predict_stream"))
    assert not isinstance(streamed, StreamReply)
    assert b"unguarded" not in streamed.body
    unstructured = predictor.handle(ModelCall(kind="unstructured", body=Payload(data=b"x", size=1)))
    assert unstructured.status == 422


@pytest.mark.usefixtures("dome")
def test_guards_that_cannot_start(serve_folder: Any) -> None:
    with pytest.raises(ModelLoadError, match=r"moderation_config\.yaml configures moderations, but bad guard"):
        moderated(serve_folder, "broken")


@pytest.mark.usefixtures("dome")
def test_guards_that_fail_without_a_message(serve_folder: Any) -> None:
    with pytest.raises(ModelLoadError, match=r"configures moderations, but KeyError\(\)"):
        moderated(serve_folder, "mute")


def test_missing_package(serve_folder: Any) -> None:
    with pytest.raises(ModelLoadError, match="pip install datarobot-moderations"):
        moderated(serve_folder)


def test_missing_package_may_be_ignored(serve_folder: Any) -> None:
    predictor = moderated(serve_folder, moderations_optional=True)
    assert b'"predictions":["good","bad"]' in predictor.handle(predict()).body
