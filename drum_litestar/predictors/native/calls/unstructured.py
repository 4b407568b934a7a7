"""Unstructured predictions: the raw body passed to ``score_unstructured`` (contract, 3.9)."""

from __future__ import annotations

from typing import Any

from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.hooks.multi_dict import ImmutableMultiDict
from drum_litestar.predictors.native.hooks.request_values import header_dict
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply, TargetType
from drum_litestar.predictors.steps import step

_HOOK = "score_unstructured"
_TEXT_TYPE = "text/plain"
_BYTES_TYPE = "application/octet-stream"
_FRAMEWORK_TYPE = "text/html; charset=utf-8"
_CHARSET = "utf-8"


class UnstructuredHandler:
    """The unstructured pipeline of one loaded model."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    @property
    def available(self) -> bool:
        """The model answers unstructured calls. Text generation does when it has the hook (contract, Q-9)."""
        if self._loaded.target_type is TargetType.UNSTRUCTURED:
            return True
        has_hook = self._loaded.hooks.get(_HOOK) is not None
        unguarded = self._loaded.moderation is None  # this route would bypass the guards
        return has_hook and unguarded and self._loaded.target_type is TargetType.TEXT_GENERATION

    def handle(self, call: ModelCall) -> Reply:
        """Answer one unstructured call. Raises what the hook raises, unwrapped."""
        data, kwargs = _hook_input(call.body if call.body is not None else call.x)
        kwargs["query"] = ImmutableMultiDict(call.query)
        kwargs["headers"] = header_dict(call.headers)
        if self._loaded.monitor is not None:
            kwargs["mlops"] = self._loaded.monitor.client
        if self._loaded.hooks.get(_HOOK) is None:  # a CustomTask has no such method; the text is DRUM's
            raise TypeError("'NoneType' object is not callable")
        with step("model"):
            result = self._loaded.hooks.call(_HOOK, self._loaded.model, data, **kwargs)
        return _reply(result)


def _hook_input(body: Payload | None) -> tuple[str | bytes, dict[str, Any]]:
    raw = b"" if body is None else body.read()
    mimetype = "" if body is None else (body.mimetype or "").strip()
    charset = None if body is None else body.charset or None
    if not mimetype:
        mimetype, charset = _TEXT_TYPE, None
    if mimetype.startswith("text/") or mimetype == "application/json":
        charset = charset or _CHARSET
        return raw.decode(charset), {"mimetype": mimetype, "charset": charset}
    return raw, {"mimetype": mimetype} if charset is None else {"mimetype": mimetype, "charset": charset}


def _reply(result: Any) -> Reply:
    data, options = _unpack(result)
    if isinstance(data, bytes):
        mimetype = options.get("mimetype", _BYTES_TYPE)
        charset = options.get("charset")
        body = data
    else:
        mimetype = options.get("mimetype", _TEXT_TYPE)
        charset = options.get("charset", _CHARSET)
        body = b"" if data is None else data.encode(charset)
    return Reply(body=body, content_type=_content_type(mimetype, charset))


def _unpack(result: Any) -> tuple[str | bytes | None, dict[str, Any]]:
    if isinstance(result, tuple):
        if len(result) != 2:
            raise ValueError(
                "In unstructured mode predictions of type tuple must have length = 2, but received length = "
                f"{len(result)}"
            )
        data, options = result
        if not isinstance(data, (str, bytes, type(None))) or not isinstance(options, (dict, type(None))):
            raise ValueError(
                "In unstructured mode tuple return value must be of type (str/bytes, dict) but received "
                f"({type(data)}, {type(options)})"
            )
        return data, options or {}
    if not isinstance(result, (str, bytes, type(None))):
        raise ValueError(
            f"In unstructured mode single return value can be of type str/bytes, but received {type(result)}"
        )
    return result, {}


def _content_type(mimetype: Any, charset: Any) -> str:
    if mimetype is None:
        return _FRAMEWORK_TYPE
    if charset is not None:
        mimetype += f"; charset={charset}"
    value = str(mimetype)
    if "\r" in value or "\n" in value:
        raise ValueError("Header values must not contain newline characters.")
    value.encode("latin-1")  # what HTTP can carry; raises UnicodeEncodeError
    return value
