"""The official client reads what hooks for chats, completions and embeddings return and yield without its classes."""

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
    chats(client)
    completions(client)
    embeddings(client)


def chats(client: Any) -> None:
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


def complete(client: Any, do: str, prompt: Any = "p", **options: Any) -> Any:
    return client.completions.create(model="m1", prompt=prompt, extra_body={"do": do}, **options)


def completions(client: Any) -> None:
    whole = complete(client, "'é'")
    assert (whole.choices[0].text, whole.choices[0].finish_reason, whole.model) == ("é", "stop", "m1")
    assert whole.object == "text_completion"
    for do in ("[each.upper() for each in params['prompt']]", "later(['A', 'B'])"):
        assert [each.text for each in complete(client, do, ["a", "b"]).choices] == ["A", "B"]
    assert complete(client, "str(params['prompt'])", [1, 2]).choices[0].text == "[1, 2]"
    assert complete(client, "iter(['a', 'b'])").choices[0].text == "ab"
    chunks = list(complete(client, "slowly(['a', 'b'])", stream=True))
    assert [(each.choices[0].text, each.choices[0].finish_reason) for each in chunks] == [
        ("a", None), ("b", None), ("", "stop")
    ]  # fmt: skip
    assert [each.choices[0].index for each in complete(client, "['a', 'b']", ["p", "q"], stream=True)] == [0, 1]
    with pytest.raises(openai.BadRequestError, match="prompt is of another form") as caught:
        complete(client, "'x'", [])
    assert (caught.value.param, caught.value.type) == ("prompt", "invalid_request_error")
    with pytest.raises(openai.InternalServerError, match=r"completion\(\) returned 1 texts, but 2 completions"):
        complete(client.with_options(max_retries=0), "['x']", ["p", "q"])


def embeddings(client: Any) -> None:
    one = client.embeddings.create(model="m1", input="text")  # the client asks for base64, and decodes it
    assert (list(one.data[0].embedding), one.model, one.usage.total_tokens) == ([4.0, 1.0], "m1", 0)
    for encoding in ("float", "base64"):
        batch = client.embeddings.create(model="m1", input=["a", "bé"], encoding_format=encoding)
        assert [each.index for each in batch.data] == [0, 1]
        assert isinstance(batch.data[0].embedding, str if encoding == "base64" else list)
    tokens = client.embeddings.create(model="m1", input=[[1, 2, 3], [4]])
    assert ([list(each.embedding) for each in tokens.data], tokens.usage.prompt_tokens) == ([[3.0, 2.0], [1.0, 2.0]], 4)
    with pytest.raises(openai.BadRequestError, match="this model's embeddings have 2 dimensions") as caught:
        client.embeddings.create(model="m1", input="a", dimensions=5)
    assert caught.value.param == "dimensions"
