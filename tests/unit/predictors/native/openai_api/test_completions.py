"""Completions: what hooks return and yield, prompts by the score hook, parameters, streams, errors."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from opentelemetry.context import Context

from drum_litestar.observability.tracing.call_report import CallReport, report_to
from drum_litestar.predictors.protocol import ModelCall, Reply, StreamReply, TargetType
from native_serving import openai_call, payload, summary

TEXT = TargetType.TEXT_GENERATION
AID = {"datarobot_association_id": "AID"}
MADE = re.compile(r"cmpl-[0-9a-f]{32}")

HOOK = """
import asyncio
from types import SimpleNamespace

import numpy as np
from datarobot_drum import CustomHTTPError


def load_model(code_dir):
    return "the model"


closed = []


def piece(text, index=0, **fields):
    return {"choices": [{"text": text, "index": index, **fields}]}


def failing(error, *texts):
    try:
        yield from texts
        raise error
    finally:
        closed.append(True)


async def slowly(items):
    for item in items:
        await asyncio.sleep(0)
        yield item


async def later(value):
    await asyncio.sleep(0)
    return value


def fail(error):
    raise error


def completion(completion_create_params, model, headers=None):
    return eval(completion_create_params["do"], {**globals(), "params": completion_create_params, "model": model,
                                                 "headers": headers})
"""

SCORE = """
import pandas as pd

def load_model(d): return 1

def score(data, model, **kwargs):
    column = data.columns[0]
    return pd.DataFrame({"answer": [f"{column}|{kwargs['mimetype']}|{prompt!r}" for prompt in data[column]]})
"""


@pytest.fixture
def hooked(serve_folder: Any) -> Any:
    return serve_folder({"custom.py": HOOK}, TEXT, target_name="t")


@pytest.fixture
def scored(serve_folder: Any) -> Any:
    return serve_folder({"custom.py": SCORE}, TEXT, target_name="answer")


def ask(predictor: Any, do: str, prompt: Any = "p", **params: Any) -> Any:
    call = openai_call("completion", {"do": do, "prompt": prompt, **AID, **params}, headers=(("X-Own", "7"),))
    return predictor.handle(call)


def body_of(answer: Any) -> Any:
    assert isinstance(answer, Reply), list(answer.chunks)
    assert (answer.status, answer.content_type) == (200, "application/json"), answer.body
    return json.loads(answer.body)


def texts(answer: Any) -> list[str]:
    return [choice["text"] for choice in body_of(answer)["choices"]]


def events(answer: Any) -> list[Any]:
    """``(index, text, finish_reason)`` of each chunk, usage alone, errors, and the end."""
    assert isinstance(answer, StreamReply), answer.body
    found: list[Any] = []
    for line in b"".join(answer.chunks).decode().removesuffix("\n\n").split("\n\n"):
        if line == "data: [DONE]":
            found.append("done")
            continue
        chunk = json.loads(line.removeprefix("data: "))
        if "error" in chunk:
            found.append(chunk["error"]["message"])
            continue
        assert (chunk["object"], chunk["datarobot_association_id"]) == ("text_completion", "AID")
        found += [(each["index"], each["text"], each["finish_reason"]) for each in chunk["choices"]] or [chunk["usage"]]
    return found


def error_of(answer: Any) -> tuple[int, str]:
    assert isinstance(answer, Reply)
    return answer.status, json.loads(answer.body)["message"]


def refused(answer: Any) -> dict[str, Any]:
    """OpenAI's error of a parameter."""
    assert isinstance(answer, Reply)
    assert answer.status == 400, answer.body
    error: dict[str, Any] = json.loads(answer.body)["error"]
    assert (error.pop("type"), error.pop("code")) == ("invalid_request_error", None)
    return error


def test_a_text_is_a_completion(hooked: Any) -> None:
    body = body_of(ask(hooked, "'hé'", model="m1"))
    assert MADE.fullmatch(body.pop("id"))
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "text_completion",
        "model": "m1",
        "choices": [{"text": "hé", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        **AID,
    }


@pytest.mark.parametrize(
    "do", ["['a', 'b']", "('a', 'b')", "np.array(['a', 'b'])", "later(['a', 'b'])", "params['prompt']",
           "{'choices': [piece('a')['choices'][0], piece('b', 1)['choices'][0]]}",
           "SimpleNamespace(choices=[SimpleNamespace(text='a'), SimpleNamespace(text='b')])",
           "iter([piece('a'), piece('b', 1)])", "slowly([piece('b', 1), piece('', 0), piece('a', 0)])"]
)  # fmt: skip
def test_one_text_for_each_prompt(hooked: Any, do: str) -> None:
    body = body_of(ask(hooked, do, ["a", "b"]))
    assert [(each["index"], each["text"], each["finish_reason"]) for each in body["choices"]] == [
        (0, "a", "stop"),
        (1, "b", "stop"),
    ]


def test_the_hook_decides_about_n_and_tokens(hooked: Any) -> None:
    assert texts(ask(hooked, "['a', 'b', 'c', 'd']", ["p", "q"], n=2)) == ["a", "b", "c", "d"]
    assert texts(ask(hooked, "[str(each) for each in params['prompt']]", [[1, 2], [3]])) == ["[1, 2]", "[3]"]
    assert texts(ask(hooked, "str(params['prompt'])", [1, 2])) == ["[1, 2]"]


def test_what_the_hook_gets(hooked: Any) -> None:
    assert texts(ask(hooked, "model + headers['x-own'] + params['suffix']", suffix="!")) == ["the model7!"]


def test_a_dict_or_an_object_is_passed_on(hooked: Any) -> None:
    given = {
        "id": "i",
        "model": "mm",
        "usage": {"total_tokens": 3},
        "choices": [{"text": "x", "finish_reason": "length"}],
    }
    choices = "[SimpleNamespace(text='x', finish_reason='length')]"
    usage = "SimpleNamespace(total_tokens=3)"
    for do in (repr(given), f"SimpleNamespace(choices={choices}, id='i', model='mm', usage={usage})"):
        body = body_of(ask(hooked, do))
        assert (body["id"], body["model"], body["usage"]) == ("i", "mm", {"total_tokens": 3})
        assert body["choices"] == [{"text": "x", "index": 0, "logprobs": None, "finish_reason": "length"}]


def test_the_openai_packages_objects(serve_folder: Any) -> None:
    pytest.importorskip("openai")
    code = (
        "from openai.types import Completion\n"
        "def load_model(d): return 1\n"
        "def completion(params, model):\n"
        "    choice = {'text': 'x', 'index': 0, 'finish_reason': 'stop', 'logprobs': None}\n"
        "    whole = Completion(id='i', created=1, model='mm', object='text_completion', choices=[choice])\n"
        "    return iter([whole]) if params.get('stream') else whole\n"
    )
    predictor = serve_folder({"custom.py": code}, TargetType.REGRESSION)
    assert body_of(ask(predictor, ""))["id"] == "i"
    assert events(ask(predictor, "", stream=True)) == [(0, "x", "stop"), "done"]


@pytest.mark.parametrize("items", ["iter({})", "slowly({})", "later(iter({}))"])
def test_pieces(hooked: Any, items: str) -> None:
    for given, pieces in {
        "['a', 'b']": [(0, "a", None), (0, "b", None), (0, "", "stop")],
        "[piece('a'), piece('b', finish_reason='length')]": [(0, "a", None), (0, "b", "length")],
        "['a', piece('b', finish_reason='stop')]": [(0, "a", None), (0, "b", "stop")],
    }.items():
        do = items.replace("{}", given)
        assert events(ask(hooked, do, stream=True)) == [*pieces, "done"]
        (choice,) = body_of(ask(hooked, do))["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("ab", pieces[-1][2]), "joined for a client that waits"


def test_nothing_is_yielded(hooked: Any) -> None:
    assert events(ask(hooked, "iter([])", stream=True)) == ["done"]
    assert texts(ask(hooked, "iter([])")) == [""]


def test_whole_answers_are_streamed_to_a_client_that_asks_for_it(hooked: Any) -> None:
    assert events(ask(hooked, "'hé'", stream=True)) == [(0, "hé", "stop"), "done"]
    assert events(ask(hooked, "['a', 'b']", ["p", "q"], stream=True)) == [(0, "a", "stop"), (1, "b", "stop"), "done"]
    with_usage = "{**piece('a'), 'usage': {'total_tokens': 1}}"
    assert events(ask(hooked, with_usage, stream=True)) == [(0, "a", "stop"), "done"]
    options = {"include_usage": True}
    assert events(ask(hooked, with_usage, stream=True, stream_options=options)) == [
        (0, "a", "stop"), {"total_tokens": 1}, "done"
    ]  # fmt: skip
    assert body_of(ask(hooked, f"iter([piece('b'), {{**{with_usage}, 'choices': []}}])"))["usage"] == {
        "total_tokens": 1
    }


def test_results_that_are_none(hooked: Any, caplog: pytest.LogCaptureFixture) -> None:
    for do, prompt, text in (
        ("None", "p", "completion() returned <class 'NoneType'>"),
        ("7", "p", "completion() returned <class 'int'>"),
        ("b'x'", "p", "completion() returned <class 'bytes'>"),
        ("{'text': 'x'}", "p", "completion() returned <class 'dict'>"),
        ("{'choices': ['x']}", "p", "completion() gave a choice without text"),
        ("{'choices': [{'message': {'content': 'x'}}]}", "p", "completion() gave a choice without text"),
        ("'x'", ["p", "q"], "completion() returned 1 texts, but 2 completions were asked for"),
        ("['x', 'y', 'z']", ["p", "q"], "completion() returned 3 texts, but 2 completions were asked for"),
        ("[1, 2]", "p", "completion() yielded <class 'int'>"),
        ("iter(['x'])", ["p", "q"], "completion() yields texts, but 2 completions were asked for"),
    ):
        assert error_of(ask(hooked, do, prompt)) == (500, f"ERROR: {text}")
        assert "(completion() " in caplog.messages[-1], "what to change is in the log"
    assert events(ask(hooked, "iter(['a', {'b': 1}])", stream=True)) == [
        (0, "a", None),
        "completion() yielded <class 'dict'>",
    ]


def test_errors_of_the_hook(hooked: Any) -> None:
    closed = __import__("custom").closed
    assert error_of(ask(hooked, "fail(ValueError('boo'))")) == (500, "ERROR: boo")
    status, _, body, headers = summary(ask(hooked, "fail(CustomHTTPError('wait', 429))", stream=True))
    assert (status, body, headers) == (429, b'{"message":"wait"}\n', {"X-Drum-User-Http-Error": "true"})
    assert error_of(ask(hooked, "failing(ValueError('early'))", stream=True)) == (500, "ERROR: early")
    assert events(ask(hooked, "failing(ValueError('late'), 'a')", stream=True)) == [(0, "a", None), "late"]
    assert error_of(ask(hooked, "failing(ValueError('late'), 'a')")) == (500, "ERROR: late")
    assert closed == [True] * 3
    stream = ask(hooked, "failing(ValueError('late'), 'a')", stream=True)
    stream.close()
    assert closed == [True] * 4, "a client that leaves ends the generator"


@pytest.mark.parametrize(
    ("params", "param", "text"),
    [
        ({}, "prompt", "prompt is missing: it is a text, a list of texts, "),
        ({"prompt": None}, "prompt", "prompt is missing"),
        ({"prompt": []}, "prompt", "prompt is of another form"),
        ({"prompt": ["a", 1]}, "prompt", "prompt is of another form"),
        ({"prompt": [1, True]}, "prompt", "prompt is of another form"),
        ({"prompt": [[1], []]}, "prompt", "prompt is of another form"),
        ({"prompt": {"a": 1}}, "prompt", "prompt is of another form"),
        ({"prompt": "p", "n": 0}, "n", "n must be a positive integer"),
        ({"prompt": "p", "n": True}, "n", "n must be a positive integer"),
        ({"prompt": "p", "stream": "yes"}, "stream", "stream must be true or false"),
        ([], None, "the body must be a JSON object"),
        ("p", None, "the body must be a JSON object"),
    ],
)
def test_parameters(hooked: Any, params: Any, param: str | None, text: str) -> None:
    error = refused(hooked.handle(openai_call("completion", params)))
    assert error["param"] == param
    assert error["message"].startswith(text)


@pytest.mark.parametrize(
    ("body", "mimetype", "status", "answer"),
    [
        (b"{", "application/json", 400, b'{"error":"The browser (or proxy) sent a request that this server'),
        (b"", "application/json", 400, b'{"error":"The browser'),
        (b'{"prompt":"\xff"}', "application/json", 400, b'{"error":"The browser'),
        (b"[" * 100_000, "application/json", 400, b'{"error":"The browser'),
        (b"{}", "text/plain", 415, b'{"message":"ERROR: 415 Unsupported Media Type'),
    ],
)
def test_bodies_are_refused_as_those_of_a_chat(
    hooked: Any, body: bytes, mimetype: str, status: int, answer: bytes
) -> None:
    reply = hooked.handle(ModelCall(kind="completion", body=payload(body, mimetype=mimetype)))
    assert reply.status == status
    assert reply.body.startswith(answer)
    assert hooked.handle(ModelCall(kind="completion")).status == 415


def test_prompts_are_scored(scored: Any) -> None:
    prompts = ['a, "b"\nc', "NA", "1", "", "é\u2028"]
    body = body_of(ask(scored, "", prompts, model="m1"))
    assert [each["text"] for each in body["choices"]] == [f"promptText|text/csv|{prompt!r}" for prompt in prompts]
    assert (body["object"], body["model"], body["datarobot_association_id"]) == ("text_completion", "m1", "AID")
    assert [each["index"] for each in body["choices"]] == [0, 1, 2, 3, 4]
    assert "usage" not in body, "nobody has counted the tokens"
    assert texts(ask(scored, "", "p")) == ["promptText|text/csv|'p'"]
    assert events(ask(scored, "", ["p", "q"], stream=True)) == [
        (0, "promptText|text/csv|'p'", "stop"), (1, "promptText|text/csv|'q'", "stop"), "done"
    ]  # fmt: skip


def test_the_column_of_prompts(serve_folder: Any) -> None:
    predictor = serve_folder(
        {"custom.py": SCORE}, TargetType.AGENTIC_WORKFLOW, target_name="answer", prompt_column="question"
    )
    assert texts(ask(predictor, "")) == ["question|text/csv|'p'"]
    assert predictor._card.example == (("question", "Hello"),)


def test_hooks_around_score(serve_folder: Any) -> None:
    code = SCORE + (
        "def read_input_data(data): return pd.DataFrame({'raw': [data.decode()]})\n"
        "def transform(data, model): return data.rename(columns={'raw': 'new'})\n"
        "def post_process(predictions, model): return predictions + '!'\n"
    )
    predictor = serve_folder({"custom.py": code}, TEXT, target_name="answer")
    assert texts(ask(predictor, "", "NA")) == ["new|text/csv|'promptText\\nNA\\n'!"]


def test_what_score_cannot_do(scored: Any) -> None:
    for name, value in {
        "n": 2, "best_of": 3, "echo": True, "logprobs": 0, "suffix": "x", "logit_bias": {"50256": -100},
    }.items():  # fmt: skip
        error = refused(ask(scored, "", **{name: value}))
        assert error["param"] == name
        assert error["message"].startswith(f"{name} is not supported by this model: its score hook gives one text")
    assert refused(ask(scored, "", [1, 2]))["message"] == "this model takes prompts as text, not as tokens"
    assert refused(ask(scored, "", stop=["x", ""]))["param"] == "stop"
    assert refused(ask(scored, "", stop=7))["param"] == "stop"
    surrogate = payload(b'{"prompt": "\\ud800"}', mimetype="application/json")
    assert refused(scored.handle(ModelCall(kind="completion", body=surrogate)))["param"] == "prompt"


def test_what_asks_for_nothing_and_what_is_ignored(scored: Any) -> None:
    neutral: dict[str, Any] = {
        "n": 1,
        "best_of": 1,
        "echo": False,
        "logprobs": None,
        "suffix": "",
        "logit_bias": {},
        "stop": None,
    }
    ignored = {"max_tokens": 1, "temperature": 0, "top_p": 0.5, "seed": 1, "user": "u", "presence_penalty": 1, "own": 1}
    assert texts(ask(scored, "", **neutral, **ignored)) == ["promptText|text/csv|'p'"]


def test_stop(scored: Any) -> None:
    assert texts(ask(scored, "", "abc", stop="b")) == ["promptText|text/csv|'a"]
    assert texts(ask(scored, "", "abc", stop=["c", "|", "none"])) == ["promptText"]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [("[None]", [""]), ("[float('nan')]", [""]), ("[5]", ["5"]), ("[['a', 'b']]", ["['a', 'b']"])],
)
def test_predictions_that_are_no_texts(serve_folder: Any, returned: str, expected: list[str]) -> None:
    code = (
        "import pandas as pd\ndef load_model(d): return 1\n"
        f"def score(data, model, **kw): return pd.DataFrame({{'t': {returned}}})\n"
    )
    assert texts(ask(serve_folder({"custom.py": code}, TEXT, target_name="t"), "")) == expected


def test_errors_of_score(serve_folder: Any, caplog: pytest.LogCaptureFixture) -> None:
    code = (
        "def load_model(d): return 1\n"
        "def score(data, model, **kw):\n"
        "    if data['promptText'][0] == 'boo': raise ValueError('boo')\n"
        "    return data.iloc[1:]\n"
    )
    predictor = serve_folder({"custom.py": code}, TEXT, target_name="t")
    failed = (500, "ERROR: Model 'score' hook failed to make predictions. Exception: ValueError('boo')")
    assert error_of(ask(predictor, "", "boo")) == failed
    assert error_of(ask(predictor, "", ["a", "b"])) == (500, "ERROR: The model returned 1 predictions for 2 prompts")
    assert "score() must return one row" in caplog.messages[-1]


@pytest.mark.parametrize(
    ("code", "target", "missing"),
    [
        (HOOK, TargetType.REGRESSION, None),
        (SCORE, TargetType.REGRESSION, "completion() is not"),
        (SCORE, TargetType.VECTOR_DATABASE, "completion() is not"),
        (
            "def load_model(d): return 1\ndef chat(params, model): return ''\n",
            TEXT,
            "neither completion() nor score() is",
        ),
    ],
)
def test_who_completes(serve_folder: Any, code: str, target: TargetType, missing: str | None) -> None:
    predictor = serve_folder({"custom.py": code}, target, target_name="answer")
    assert predictor._card.completions is (missing is None)
    reply = ask(predictor, "'x'")
    if missing is None:
        assert texts(reply) == ["x"]
    else:
        text = f"ERROR: This model's completion interface was called, but {missing} implemented."
        assert error_of(reply) == (404, text)


def test_what_traces_tell(hooked: Any) -> None:
    def told(predictor: Any, do: str, **params: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Attributes of the request, and of what was streamed."""
        report = CallReport(None)
        with report_to(report, Context()):
            answer = ask(predictor, do, ["a", "b"], model="m", **params)
            if isinstance(answer, StreamReply):
                list(answer.chunks)
        return report.attributes, report._chunks.attributes()

    asked = {"gen_ai.request.model": "m", "gen_ai.prompt.0.content": "a", "gen_ai.prompt": "b"}
    answered = {"gen_ai.response.model": "m", "gen_ai.completion.0.content": "x", "gen_ai.completion": "y"}
    attributes, streamed = told(hooked, "['x', 'y']")
    assert {**attributes, **asked, **answered} == attributes
    assert streamed == {}
    attributes, streamed = told(hooked, "['x', 'y']", stream=True)
    assert {**attributes, **asked} == attributes
    assert {**streamed, **answered} == streamed
    assert "drum.model.duration_ms" in attributes
