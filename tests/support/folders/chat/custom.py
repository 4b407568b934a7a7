"""A chat hook with the real openai objects; ``params["do"]``, a Python expression, says what to return."""

from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

CREATED = 1700000000


def load_model(code_dir):
    return "the model"


def complete(content="é", **fields):
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    whole = {"id": "id1", "object": "chat.completion", "created": CREATED, "model": "mm", "choices": choices, **fields}
    return ChatCompletion(**whole)


def chunk(content, finish_reason=None, **fields):
    delta = {"content": content, "role": "assistant"}
    choices = [{"delta": delta, "index": 0, "finish_reason": finish_reason}]
    whole = {
        "id": "id1",
        "choices": choices,
        "created": CREATED,
        "model": "mm",
        "object": "chat.completion.chunk",
        **fields,
    }
    return ChatCompletionChunk(**whole)


def chunks(*words):
    for word in words:
        yield chunk(word)
    yield chunk("", "stop")


def fail(error):
    raise error


def http_error(*arguments):
    from datarobot_drum import CustomHTTPError

    raise CustomHTTPError(*arguments)


def failing(error, *words):
    """A stream that raises after ``words``."""
    for word in words:
        yield chunk(word)
    raise error


def chat(params, model, headers):
    local = {"params": params, "model": model, "headers": headers}
    tools = {f.__name__: f for f in (complete, chunk, chunks, fail, failing, http_error)}
    return eval(params.get("do", "complete()"), {**tools, **local})


def get_supported_llm_models(model):
    named = {"id": "m1", "object": "model", "created": CREATED, "owned_by": "us"}
    return [Model(**named), complete(), Model(**{**named, "id": "é/2"})]
