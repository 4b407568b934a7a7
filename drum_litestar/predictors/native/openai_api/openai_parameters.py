"""Parameters of OpenAI's requests: what every hook can rely on. All else reaches hooks as it was sent."""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Union

from drum_litestar.errors import InvalidParameterError, UnsupportedMediaTypeError
from drum_litestar.media_types import is_json
from drum_litestar.predictors.native.hooks.request_values import UnreadableBodyError
from drum_litestar.predictors.protocol import Payload

Params = Dict[str, Any]
Text = Union[str, List[int]]
"""A text, or the numbers of its tokens."""


def json_body(body: Payload | None) -> Any:
    """The JSON of ``body``. Raises UnsupportedMediaTypeError and UnreadableBodyError."""
    if body is None or not is_json(body.mimetype):
        raise UnsupportedMediaTypeError
    try:
        return json.loads(body.read())
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(str(error)) from None


def json_object(body: Payload | None) -> Params:
    """The JSON object of ``body``. Raises as :func:`json_body`, and InvalidParameterError for other JSON."""
    params = json_body(body)
    if not isinstance(params, dict):
        raise InvalidParameterError("the body must be a JSON object")
    return params


def texts(params: Params, name: str) -> List[Text]:
    """The texts of parameter ``name``: one or a list, each as text or as tokens. Raises InvalidParameterError."""
    value = params.get(name)
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(each, str) for each in value):
            return value
        if _are_tokens(value):
            return [value]
        if all(isinstance(each, list) and each and _are_tokens(each) for each in value):
            return value
    problem = f"{name} is missing" if value is None else f"{name} is of another form"
    raise InvalidParameterError(
        f"{problem}: it is a text, a list of texts, a list of tokens (integers) or a list of lists of tokens", name
    )


def _are_tokens(value: List[Any]) -> bool:
    return all(type(each) is int for each in value)


def tokens(given: List[Text]) -> int:
    """Number of the tokens that were sent as such: what a text has, only the model knows."""
    return sum(len(each) for each in given if not isinstance(each, str))


def count(params: Params, name: str) -> Optional[int]:
    """A positive integer; None where it is absent. Raises InvalidParameterError."""
    value = params.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise InvalidParameterError(f"{name} must be a positive integer", name)
    return value


def flag(params: Params, name: str) -> bool:
    """Raises InvalidParameterError for what is neither true, false nor null."""
    value = params.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidParameterError(f"{name} must be true or false", name)
    return bool(value)


def model_name(params: Params) -> str:
    """The model that the client names; empty where it names none."""
    model = params.get("model")
    return model if isinstance(model, str) else ""


class CompletionRequest(NamedTuple):
    """A request for completions."""

    params: Params
    prompts: List[Text]
    choices: int
    """Completions asked for: ``n`` for each prompt."""
    stream: bool
    with_usage: bool
    """A stream is to end with a chunk that has the usage."""


def completion_request(body: Payload | None) -> CompletionRequest:
    """Read a request for completions. Raises as :func:`json_object`."""
    params = json_object(body)
    prompts = texts(params, "prompt")
    options = params.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True
    return CompletionRequest(
        params, prompts, len(prompts) * (count(params, "n") or 1), flag(params, "stream"), with_usage
    )
