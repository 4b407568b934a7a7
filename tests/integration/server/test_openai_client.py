"""The official client reads what chat hooks return and yield as dicts and texts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.servers.process import ServerProcess

openai = pytest.importorskip("openai")


@pytest.fixture(params=["inline", "pool"])
def client(serve: Callable[..., ServerProcess], request: pytest.FixtureRequest) -> Iterator[Any]:
    server = serve("chat_plain", executor=request.param)
    with contextlib.closing(openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="k")) as client:
        yield client


def ask(client: Any, do: str, **options: Any) -> Any:
    messages = [{"role": "user", "content": "hi"}]
    return client.chat.completions.create(model="m1", messages=messages, extra_body={"do": do}, **options)


def test_answers(client: Any) -> None:
    for do in ("message('é')", "later(message('é'))"):
        whole = ask(client, do)
        assert (whole.choices[0].message.content, whole.model, whole.id) == ("é", "mm", "i")
    for do in ("'é'", "later('é')"):
        whole = ask(client, do)
        assert (whole.choices[0].message.content, whole.model, whole.object) == ("é", "m1", "chat.completion")
        assert whole.choices[0].finish_reason == "stop"
    with pytest.raises(openai.InternalServerError, match="Expected response to be ChatCompletion or Iterable"):
        ask(client.with_options(max_retries=0), "{'text': 'é'}")

    for do in ("iter(['a', 'b'])", "slowly(['a', 'b'])", "['a', chunk('b', 'stop')]", "(chunk(x) for x in 'ab')"):
        chunks = list(ask(client, do, stream=True))
        assert "".join(each.choices[0].delta.content or "" for each in chunks) == "ab", do
        assert len({each.id for each in chunks if each.model == "m1"}) <= 1
    assert [each.choices[0].finish_reason for each in ask(client, "['a', 'b']", stream=True)] == [None, None, "stop"]
    one = list(ask(client, "'ab'", stream=True))
    assert [each.choices[0].delta.content for each in one] == ["ab", None]
    assert [each.choices[0].delta.role for each in one] == ["assistant", None]
