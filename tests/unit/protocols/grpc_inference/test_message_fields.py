"""Messages that are refused before they are parsed, because of what they would take."""

from __future__ import annotations

from typing import Any

import pytest

from drum_litestar.errors import BadRequestError, MessageTooLargeError
from drum_litestar.protocols.grpc_inference.message_fields import (
    LARGEST_SMALL,
    LARGEST_TYPED,
    MOST_FIELDS,
    check_infer_message,
    check_small,
    request_id,
)
from drum_litestar.protocols.grpc_inference.protobuf_messages import inference


def message(**fields: Any) -> bytes:
    return bytes(inference().ModelInferRequest(model_name="m", id="ä", **fields).SerializeToString())


def test_what_is_parsed() -> None:
    """All kinds of fields, and raw contents of any size."""
    data = message(raw_input_contents=[bytes(LARGEST_TYPED + 1), b""], inputs=[{"name": "x"}], outputs=[{"name": "y"}])
    unknown = b"\x40\xff\x01" + b"\x41" + bytes(8) + b"\x45" + bytes(4)
    check_infer_message(data + unknown)
    assert request_id(unknown + data) == "ä"


def test_typed_contents_that_are_too_large() -> None:
    contents = {"bytes_contents": [bytes(LARGEST_TYPED)]}
    with pytest.raises(MessageTooLargeError, match=r"beside raw contents.* send large tensors in raw_input_contents"):
        check_infer_message(message(inputs=[{"contents": contents}]))


def test_too_many_fields() -> None:
    check_infer_message(b"\x2a\x00" * MOST_FIELDS)
    with pytest.raises(BadRequestError, match=f"more than {MOST_FIELDS} fields"):
        check_infer_message(b"\x2a\x00" * (MOST_FIELDS + 1))
    assert request_id(b"\x2a\x00" * MOST_FIELDS + message()) == ""


@pytest.mark.parametrize(
    "data",
    [b"\x2a", b"\x2a\x05abc", b"\x2a" + b"\xff" * 11, b"\x08", b"\x09abc", b"\x0dabc", b"\x0b\x0c", b"\xff" * 20],
    ids=["no length", "length", "endless length", "no varint", "fixed64", "fixed32", "group", "endless key"],
)
def test_no_message(data: bytes) -> None:
    with pytest.raises(BadRequestError, match="this is no ModelInferRequest"):
        check_infer_message(data)
    assert request_id(data + message()) == ""


def test_messages_without_tensors() -> None:
    check_small(bytes(LARGEST_SMALL))
    with pytest.raises(MessageTooLargeError, match="has 65537 bytes, more than 65536"):
        check_small(bytes(LARGEST_SMALL + 1))
