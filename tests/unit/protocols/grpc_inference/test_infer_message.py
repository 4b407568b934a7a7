"""Messages to V2 bodies and back: each datatype, typed and raw, and what is refused."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest

from drum_litestar.errors import BadRequestError, BodyTooLargeError, RequestError
from drum_litestar.http.replies import UnusableReplyError
from drum_litestar.predictors.protocol import MOST_INPUTS
from drum_litestar.protocols.grpc_inference.answer_message import infer_response
from drum_litestar.protocols.grpc_inference.infer_message import parse, v2_body
from drum_litestar.protocols.grpc_inference.protobuf_messages import inference

LIMIT = 10_000
ELEMENTS = [
    ("BOOL", "bool_contents", [True, False], b"\x01\x00"),
    ("INT8", "int_contents", [-1, 127], struct.pack("<2b", -1, 127)),
    ("INT16", "int_contents", [-1, 32767], struct.pack("<2h", -1, 32767)),
    ("INT32", "int_contents", [-1, 2**31 - 1], struct.pack("<2i", -1, 2**31 - 1)),
    ("INT64", "int64_contents", [-1, 2**63 - 1], struct.pack("<2q", -1, 2**63 - 1)),
    ("UINT8", "uint_contents", [0, 255], b"\x00\xff"),
    ("UINT16", "uint_contents", [0, 65535], struct.pack("<2H", 0, 65535)),
    ("UINT32", "uint_contents", [0, 2**32 - 1], struct.pack("<2I", 0, 2**32 - 1)),
    ("UINT64", "uint64_contents", [0, 2**64 - 1], struct.pack("<2Q", 0, 2**64 - 1)),
    ("FP32", "fp32_contents", [0.5, -1.5], struct.pack("<2f", 0.5, -1.5)),
    ("FP64", "fp64_contents", [0.1, float("inf")], struct.pack("<2d", 0.1, float("inf"))),
    ("BYTES", "bytes_contents", [b"", b"\xffab"], b"\0\0\0\0\3\0\0\0\xffab"),
]


def request(*inputs: dict[str, Any], **fields: Any) -> Any:
    message = inference().ModelInferRequest(model_name="m", **fields)
    for each in inputs:
        message.inputs.add(**{"name": "x", "datatype": "FP64", "shape": [1], **each})
    return message


def converted(message: Any) -> tuple[dict[str, Any], list[bytes]]:
    head, tensors = v2_body(message, LIMIT)
    return msgspec.json.decode(head), tensors


@pytest.mark.parametrize(("datatype", "field", "values", "raw"), ELEMENTS, ids=[each[0] for each in ELEMENTS])
def test_typed_contents(datatype: str, field: str, values: list[Any], raw: bytes) -> None:
    """As bytes to the model, and from its bytes."""
    message = request({"datatype": datatype, "shape": [2], "contents": {field: values}})
    head, tensors = converted(message)
    assert tensors == [raw]
    assert head == {
        "parameters": {"binary_data_output": True},
        "inputs": [
            {"name": "x", "shape": [2], "datatype": datatype, "parameters": {"binary_data_size": len(raw)}},
        ],
    }
    (output,) = answer([{"name": "y", "datatype": datatype, "shape": [2]}], [raw], raw=False).outputs
    assert list(getattr(output.contents, field)) == values


def answer(outputs: list[dict[str, Any]], tensors: list[bytes], *, raw: bool, **fields: Any) -> Any:
    described = [
        {**output, "parameters": {**output.get("parameters", {}), "binary_data_size": len(tensor)}}
        for output, tensor in zip(outputs, tensors, strict=True)
    ]
    head = msgspec.json.encode({"model_name": "m", "outputs": described, **fields})
    return infer_response(head + b"".join(tensors), len(head), raw=raw)


def test_raw_contents() -> None:
    message = request(
        {"name": "a", "parameters": {"content_type": {"string_param": "pd"}, "binary_data_size": {"int64_param": 9}}},
        {"name": "b", "datatype": "FP16", "shape": [-1, 2]},
        id="q",
        parameters={"n": {"int64_param": 3}, "on": {"bool_param": False}, "d": {"double_param": 0.5}, "empty": {}},
        outputs=[{"name": "y", "parameters": {"binary_data": {"bool_param": False}}}],
        raw_input_contents=[b"12345678", b"ab"],
    )
    head, tensors = converted(message)
    assert tensors == [b"12345678", b"ab"]
    assert head == {
        "id": "q",
        "parameters": {"n": 3, "on": False, "d": 0.5, "binary_data_output": True},
        "inputs": [
            {
                "name": "a",
                "shape": [1],
                "datatype": "FP64",
                "parameters": {"content_type": "pd", "binary_data_size": 8},
            },
            {"name": "b", "shape": [-1, 2], "datatype": "FP16", "parameters": {"binary_data_size": 2}},
        ],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
    }


REFUSED = [
    ({"contents": {"fp64_contents": [1, 2]}}, {}, BadRequestError, "shape [1] needs 1 elements in fp64_contents"),
    ({"contents": {"fp32_contents": [1]}}, {}, BadRequestError, "in fp64_contents (FP64), which has 0"),
    ({"shape": [-1]}, {}, BadRequestError, "shape [-1] needs -1 elements"),
    ({"datatype": "FP16"}, {}, BadRequestError, "'FP16' has no typed contents; send it in raw_input_contents"),
    ({"datatype": "N" * 10_000}, {}, BadRequestError, "NNN...' has no typed contents"),
    ({"name": "n" * 10_000}, {}, BadRequestError, "nnn...': its shape [1] needs 1 elements"),
    ({"datatype": "INT8", "contents": {"int_contents": [128]}}, {}, BadRequestError, "out of the range of INT8"),
    ({"datatype": "UINT16", "contents": {"uint_contents": [65536]}}, {}, BadRequestError, "the range of UINT16"),
    ({"shape": [2**62] * 100_000}, {}, BadRequestError, "100000 dimensions, more than 16"),
    ({}, {"raw_input_contents": [b"", b""]}, BadRequestError, "raw_input_contents has 2 tensors for 1 inputs"),
    ({"contents": {}}, {"raw_input_contents": [b""]}, BadRequestError, "'x' has contents beside raw_input_contents"),
    (
        {"datatype": "INT64", "shape": [1251], "contents": {"int64_contents": [0] * 1251}},
        {},
        BodyTooLargeError,
        "Maximum size: 10000 bytes",
    ),
]


@pytest.mark.parametrize(("tensor", "fields", "error", "text"), REFUSED, ids=[each[3] for each in REFUSED])
def test_refused(tensor: dict[str, Any], fields: dict[str, Any], error: type[RequestError], text: str) -> None:
    with pytest.raises(error) as caught:
        v2_body(request(tensor, **fields), LIMIT)
    assert text in str(caught.value)
    assert len(str(caught.value)) < 300


def test_too_many_inputs() -> None:
    messages = inference()
    message = messages.ModelInferRequest(inputs=[messages.ModelInferRequest.InferInputTensor()] * (MOST_INPUTS + 1))
    with pytest.raises(BadRequestError, match="the message has 65537 inputs, more than 65536"):
        v2_body(message, LIMIT)


def test_no_message() -> None:
    with pytest.raises(BadRequestError, match="this is no ModelInferRequest"):
        parse("ModelInferRequest", b"\xff\xff")


def test_answers() -> None:
    """Raw where the request was, or a datatype has no typed field; parameters keep their types."""
    output = {"name": "y", "datatype": "FP64", "shape": [1], "parameters": {"labels": ["a", "b"], "n": 3}}
    message = answer([output], [b"12345678"], raw=True, id="q", parameters={"on": True, "big": 2**70, "d": 1.5})
    assert list(message.raw_output_contents) == [b"12345678"]
    assert not message.outputs[0].HasField("contents")
    assert (message.id, list(message.outputs[0].shape)) == ("q", [1])
    parameters = message.outputs[0].parameters
    assert (parameters["labels"].string_param, parameters["n"].int64_param) == ('["a","b"]', 3)
    assert "binary_data_size" not in parameters
    assert message.parameters["on"].bool_param
    assert message.parameters["big"].string_param == str(2**70)
    assert message.parameters["d"].double_param == 1.5
    half = {"name": "h", "datatype": "FP16", "shape": [1]}
    mixed = answer([output, half], [b"12345678", b"ab"], raw=False)
    assert list(mixed.raw_output_contents) == [b"12345678", b"ab"]


@pytest.mark.parametrize(
    ("body", "head_size"),
    [
        (b"no JSON", 7),
        (b'{"model_name":"m"}', 18),
        (b'{"model_name":"m","outputs":[]}rest', 31),
        (b'{"model_name":"m","outputs":[{"name":"y","datatype":"FP64","shape":[1],"data":[1]}]}', 84),
    ],
)
def test_unusable_answers(body: bytes, head_size: int) -> None:
    with pytest.raises(UnusableReplyError):
        infer_response(body, head_size, raw=True)


@pytest.mark.parametrize("raw", [b"\1\0\0\0", b"\0\0", b"\0\0\0\0\5\0\0\0a"])
def test_bytes_that_do_not_fit(raw: bytes) -> None:
    with pytest.raises(UnusableReplyError):
        answer([{"name": "y", "datatype": "BYTES", "shape": [1]}], [raw], raw=False)
