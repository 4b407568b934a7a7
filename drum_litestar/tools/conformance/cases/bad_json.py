"""JSON requests that break a rule."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from typing import Any, Final

from drum_litestar.tools.conformance.case import BadRequest
from drum_litestar.tools.conformance.subject import Message, Subject
from drum_litestar.tools.conformance.tensor_values import wrapping_shape
from drum_litestar.tools.conformance.verdicts import NotApplicable

DEPTH: Final = 100_000
JSON: Final = {"Content-Type": "application/json"}


def _text(value: Any) -> Message:
    return Message(json.dumps(value).encode(), JSON)


def _body(body: bytes, **headers: str) -> Callable[[Subject], Message]:
    return lambda _: Message(body, {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}})


def _fields(**fields: Any) -> Callable[[Subject], Message]:
    """Members of the request set; None removes one."""

    def build(subject: Subject) -> Message:
        request = {**subject.request(), **fields}
        return _text({name: value for name, value in request.items() if value is not None})

    return build


def _first_input(change: Callable[[dict[str, Any]], dict[str, Any] | Any]) -> Callable[[Subject], Message]:
    """The first input replaced by what ``change`` makes of it."""

    def build(subject: Subject) -> Message:
        request = subject.request()
        request["inputs"][0] = change(request["inputs"][0])
        return _text(request)

    return build


def _set(**members: Any) -> Callable[[Subject], Message]:
    return _first_input(lambda described: {**described, **members})


def _without(name: str) -> Callable[[Subject], Message]:
    return _first_input(lambda described: {key: value for key, value in described.items() if key != name})


def _shape(change: Callable[[list[int]], list[Any]]) -> Callable[[Subject], Message]:
    return _first_input(lambda described: {**described, "shape": change(described["shape"])})


def _data(change: Callable[[list[Any]], Any]) -> Callable[[Subject], Message]:
    return _first_input(lambda described: {**described, "data": change(described["data"])})


def _numeric(subject: Subject) -> None:
    if subject.inputs[0].datatype.name in ("BYTES", "BOOL"):
        raise NotApplicable("the first input has no numbers")


def _not_a_number(word: bytes) -> Callable[[Subject], Message]:
    def build(subject: Subject) -> Message:
        _numeric(subject)
        request = subject.request()
        request["inputs"][0]["data"] = ["@"] * len(request["inputs"][0]["data"])
        return Message(json.dumps(request).encode().replace(b'"@"', word), JSON)

    return build


def _word_for_number(subject: Subject) -> Message:
    _numeric(subject)
    return _data(lambda data: ["word", *data[1:]])(subject)


def _out_of_range(subject: Subject) -> Message:
    if not subject.inputs[0].datatype.whole:
        raise NotApplicable("the first input is not of whole numbers")
    return _data(lambda data: [2**70, *data[1:]])(subject)


def _fp16(subject: Subject) -> Message:
    _numeric(subject)
    return _set(datatype="FP16")(subject)


def _wrong_size(subject: Subject) -> Message:
    """A fixed dimension one larger, with data to match."""
    tensor = subject.inputs[0]
    listed = [each for each in subject.metadata.get("inputs") or () if each.get("name") == tensor.name]
    fixed = [at for at, size in enumerate(listed[0]["shape"]) if size > 0] if listed else []
    if not fixed or not tensor.elements:
        raise NotApplicable("no dimension is fixed")
    shape = [size + (at == fixed[-1]) for at, size in enumerate(tensor.shape)]
    return _set(shape=shape, data=[tensor.elements[0]] * math.prod(shape))(subject)


def _ragged(subject: Subject) -> Message:
    if len(subject.inputs[0].elements) < 3:
        raise NotApplicable("too few elements")
    return _data(lambda data: [data[:1], data[1:]])(subject)


def _scalar_shape(subject: Subject) -> Message:
    if len(subject.inputs[0].elements) == 1:
        raise NotApplicable("the first input has one element")
    return _set(shape=[])(subject)


def _twice(subject: Subject) -> Message:
    request = subject.request()
    return _text({**request, "inputs": [*request["inputs"], request["inputs"][0]]})


def _listed(subject: Subject) -> None:
    """Raises NotApplicable: what the model's inputs are is not known."""
    if not subject.metadata.get("inputs"):
        raise NotApplicable("the metadata list no inputs")


def _missing_input(subject: Subject) -> Message:
    _listed(subject)
    if len(subject.inputs) < 2:
        raise NotApplicable("the model has one input")
    return _text({**subject.request(), "inputs": subject.request()["inputs"][1:]})


def _extra_input(subject: Subject) -> Message:
    _listed(subject)
    request = subject.request()
    extra = {"name": "no-such-input", "datatype": "INT32", "shape": [1], "data": [1]}
    return _text({**request, "inputs": [*request["inputs"], extra]})


def _unknown_coding(subject: Subject) -> Message:
    message = subject.message()
    return message._replace(headers={**message.headers, "Content-Encoding": "x-conformance"})


def _gzip(subject: Subject) -> Message:
    message = subject.message()
    return message._replace(
        body=gzip.compress(message.body, mtime=0), headers={**message.headers, "Content-Encoding": "gzip"}
    )


def _broken_gzip(subject: Subject) -> Message:
    message = _gzip(subject)
    return message._replace(body=message.body[: len(message.body) // 2])


def _long_name(subject: Subject) -> Message:
    return subject.message()._replace(path=f"/v2/models/{'m' * 5000}/infer")


def _strange_name(subject: Subject) -> Message:
    return subject.message()._replace(path="/v2/models/%00%ff%2e%2e/infer")


BAD_JSON: Final = (
    BadRequest("empty-body", "a body", _body(b"")),
    BadRequest("not-json", "JSON", _body(b"a,b\n1,2\n")),
    BadRequest("cut-json", "whole JSON", lambda s: _text(s.request())._replace(body=_text(s.request()).body[:-10])),
    BadRequest("two-objects", "one object", lambda s: _text(s.request())._replace(body=_text(s.request()).body * 2)),
    BadRequest("not-utf8", "UTF-8", _body(b'{"inputs": [{"name": "\xff\xfe"}]}')),
    BadRequest("null", "an object", _body(b"null")),
    BadRequest("array", "an object", _body(b"[]")),
    BadRequest("empty-object", "inputs", _body(b"{}")),
    BadRequest("deep-json", "bounded nesting", _body(b'{"inputs": ' + b"[" * DEPTH + b"]" * DEPTH + b"}")),
    BadRequest(
        "deep-data", "data as deep as the shape",
        lambda s: Message(_data(lambda _: "@")(s).body.replace(b'"@"', b"[" * DEPTH + b"1" + b"]" * DEPTH), JSON),
    ),
    BadRequest("no-inputs", "inputs", _fields(inputs=None)),
    BadRequest("empty-inputs", "inputs", _fields(inputs=[])),
    BadRequest("inputs-object", "an array of inputs", _fields(inputs={"name": "x"})),
    BadRequest("inputs-null", "objects as inputs", _fields(inputs=[None])),
    BadRequest("id-number", "an id of text", _fields(id=42), accepted=True),
    BadRequest("parameters-array", "an object of parameters", _fields(parameters=[1])),
    BadRequest("outputs-text", "an array of outputs", _fields(outputs="all")),
    BadRequest("outputs-nameless", "named outputs", _fields(outputs=[{"parameters": {}}])),
    BadRequest("no-name", "a name", _without("name")),
    BadRequest("name-number", "a name of text", _set(name=5)),
    BadRequest("no-shape", "a shape", _without("shape")),
    BadRequest("no-datatype", "a datatype", _without("datatype")),
    BadRequest("no-data", "data", _without("data")),
    BadRequest("data-null", "an array of data", _set(data=None)),
    BadRequest("data-scalar", "an array of data", _set(data=1)),
    BadRequest("data-object", "an array of data", _set(data={"a": 1})),
    BadRequest("elements-object", "numbers, texts or booleans", _data(lambda data: [{} for _ in data])),
    BadRequest("elements-null", "numbers, texts or booleans", _data(lambda data: [None for _ in data]), accepted=True),
    BadRequest("unknown-datatype", "a datatype of the specification", _set(datatype="FP128")),
    BadRequest("lower-case-datatype", "a datatype of the specification", _set(datatype="fp32")),
    BadRequest("datatype-number", "a datatype of text", _set(datatype=32)),
    BadRequest("fp16-json", "FP16 in binary only", _fp16),
    BadRequest("nan", "JSON, which has no NaN", _not_a_number(b"NaN")),
    BadRequest("infinity", "JSON, which has no Infinity", _not_a_number(b"-Infinity")),
    BadRequest("huge-number", "numbers of the datatype", _not_a_number(b"1e999"), accepted=True),
    BadRequest("long-number", "numbers of the datatype", _not_a_number(b"1" * 5000), accepted=True),
    BadRequest("word-for-number", "numbers", _word_for_number),
    BadRequest("out-of-range", "numbers of the datatype", _out_of_range),
    BadRequest("too-few", "as many elements as the shape", _data(lambda data: data[:-1])),
    BadRequest("too-many", "as many elements as the shape", _data(lambda data: [*data, *data[:1]])),
    BadRequest("no-elements", "as many elements as the shape", _data(lambda _: [])),
    BadRequest("ragged", "data of one shape", _ragged),
    BadRequest("wrong-size", "the model's fixed dimensions", _wrong_size),
    BadRequest(
        "another-rank", "the model's number of dimensions", _shape(lambda s: [math.prod(s), *[1] * 6]), accepted=True
    ),
    BadRequest("scalar-shape", "the shape of the data", _scalar_shape),
    BadRequest("negative", "dimensions of at least 0", _shape(lambda s: [-1, *s[1:]])),
    BadRequest("two-negatives", "dimensions of at least 0", _shape(lambda s: [-size for size in s[:2]] + s[2:])),
    BadRequest("fraction", "whole dimensions", _shape(lambda s: [s[0] + 0.5, *s[1:]] if s else [0.5])),
    BadRequest("shape-text", "an array of dimensions", _set(shape="2,4")),
    BadRequest("dimension-text", "whole dimensions", _shape(lambda s: ["x", *s[1:]])),
    BadRequest("huge", "as many elements as the shape", _shape(lambda _: [2**62, 2**62])),
    BadRequest("beyond-uint64", "dimensions of 64 bits", _shape(lambda s: [2**64 + (s[0] if s else 1), *s[1:]])),
    BadRequest("wraps", "as many elements as the shape, without overflow", _shape(wrapping_shape)),
    BadRequest("input-twice", "each input once", _twice),
    BadRequest("missing-input", "every input", _missing_input),
    BadRequest("extra-input", "inputs of the model", _extra_input),
    BadRequest("renamed-input", "inputs of the model", _set(name="no-such-input"), accepted=True),
    BadRequest("unknown-coding", "a known Content-Encoding", _unknown_coding),
    BadRequest("gzip", "a known Content-Encoding", _gzip, accepted=True),
    BadRequest("broken-gzip", "a whole body", _broken_gzip),
    BadRequest("long-model-name", "a known model", _long_name),
    BadRequest("strange-model-name", "a known model", _strange_name),
)  # fmt: skip
