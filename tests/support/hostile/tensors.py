"""Requests of the Open Inference Protocol, in JSON and in binary, to the model :data:`MODEL`."""

from __future__ import annotations

import json
import struct
from typing import Any

from support.hostile.bodies import BOMB, LIMIT, sized
from support.hostile.conversation import Step

MODEL = "two"
"""``DRUM_MODEL_NAME`` of the server under test. It takes two columns of numbers."""
INFER = b"/v2/models/two/infer"
SIXTEEN = struct.pack("<2d", 1.0, 2.0)


def infer(body: bytes, *headers: bytes, path: bytes = INFER) -> bytes:
    return sized(body, b"Content-Type: application/json", *headers, path=path)


def tensor(data: Any = (1, 2), shape: Any = (1, 2), datatype: Any = "FP64", name: Any = "x", **more: Any) -> Any:
    return {"name": name, "datatype": datatype, "shape": shape, **({} if data is None else {"data": data}), **more}


def inputs(*tensors: Any, **more: Any) -> bytes:
    return json.dumps({"inputs": tensors, **more}).encode()


def ask(*args: Any, **kwargs: Any) -> bytes:
    return infer(inputs(tensor(*args, **kwargs)))


def binary(data: bytes, size: Any = None, announced: bytes | None = None, **fields: Any) -> bytes:
    """``size``: what the JSON says of the data, ``announced``: what the header says of the JSON."""
    head = inputs(tensor(None, parameters={"binary_data_size": len(data) if size is None else size}, **fields))
    length = b"%d" % len(head) if announced is None else announced
    return infer(head + data, b"Inference-Header-Content-Length: " + length)


GOOD = inputs(tensor())

TENSORS: dict[str, tuple[str | Step, ...]] = {
    # JSON
    "v2-good": ("200", infer(GOOD)),
    "v2-no-body": ("400", infer(b"")),
    "v2-csv": ("400", infer(b"a,b\n1,2\n")),
    "v2-list": ("400", infer(b"[" + GOOD + b"]")),
    "v2-no-inputs": ("400", infer(b'{"inputs":[]}')),
    "v2-invalid-utf8": ("400", infer(GOOD.replace(b'"x"', b'"\xff\xfe"'))),
    "v2-deep-data": ("400", infer(GOOD.replace(b"[1, 2]}", b"[" * 100_000 + b"}"))),
    "v2-deep-parameters": ("400", infer(b'{"inputs":[],"parameters":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001)),
    "v2-nan": ("400", infer(GOOD.replace(b"[1, 2]}", b"[NaN, Infinity]}"))),
    "v2-number-of-many-digits": ("400", infer(GOOD.replace(b"[1, 2]}", b"[1, " + b"9" * 100_000 + b"]}"))),
    "v2-ragged": ("400", ask([[1], [2, 3]], [2, 2])),
    "v2-text-for-a-number": ("400", ask(["1", "2"])),
    "v2-null-for-an-integer": ("400", ask([1, None], datatype="INT64")),
    "v2-out-of-range": ("400", ask([1, 300], datatype="INT8")),
    "v2-fp16": ("400", ask(datatype="FP16")),
    "v2-datatype-unknown": ("400", ask(datatype="F" * 100_000)),
    "v2-name-of-500-kb": ("200", ask(name="n" * 500_000)),
    "v2-name-of-control-characters": ("200", ask(name="a\r\nX-Injected: 1\x00\x1b[2J")),
    "v2-id-of-control-characters": ("200", infer(inputs(tensor(), id="a\r\nX-Injected: 1\x00\x1b[2J"))),
    "v2-names-twice": ("400", infer(inputs(tensor([1], [1]), tensor([1], [1])))),
    "v2-output-unknown": ("400", infer(inputs(tensor(), outputs=[{"name": "y" * 100_000}]))),
    "v2-shape-negative": ("400", ask(shape=[-1, 2])),
    "v2-shape-overflow": ("400", ask(shape=[2**62, 2**62])),
    "v2-shape-beyond-64-bits": ("400", ask(shape=[10**1000])),
    "v2-shape-of-fractions": ("400", ask(shape=[1.5, 2])),
    "v2-shape-of-many-dimensions": ("400", ask(shape=[1] * 100_000)),
    "v2-shape-above-the-data": ("400", ask(shape=[1000, 1000])),
    "v2-no-rows": ("400", ask([], [0, 2])),
    "v2-no-rows-of-very-many-columns": ("400", ask([], [0, 2**50])),
    "v2-another-width": ("400", ask([0] * 100_000, [1, 100_000])),
    "v2-parameters-of-another-type": ("400", infer(inputs(tensor(), parameters=["a"]))),
    "v2-shared-memory": ("400", ask(None, parameters={"shared_memory_region": "r"})),
    # binary
    "v2-binary-good": ("200", binary(SIXTEEN)),
    "v2-binary-size-too-small": ("400", binary(SIXTEEN, 8)),
    "v2-binary-size-too-large": ("400", binary(SIXTEEN, 2**62)),
    "v2-binary-size-negative": ("400", binary(SIXTEEN, -16)),
    "v2-binary-size-of-text": ("400", binary(SIXTEEN, "16")),
    "v2-binary-bytes-that-overrun": ("400", binary(struct.pack("<I", 2**32 - 1) + b"a", datatype="BYTES")),
    "v2-binary-without-header": ("400", infer(inputs(tensor(None, parameters={"binary_data_size": 16})) + SIXTEEN)),
    "v2-header-beyond-body": ("400", binary(SIXTEEN, announced=b"100000")),
    "v2-header-within-json": ("400", binary(SIXTEEN, announced=b"5")),
    "v2-header-negative": ("400", binary(SIXTEEN, announced=b"-1")),
    "v2-header-word": ("400", binary(SIXTEEN, announced=b"all")),
    "v2-header-of-many-digits": ("400", binary(SIXTEEN, announced=b"9" * 5000)),
    "v2-header-twice": (
        "400",
        infer(GOOD, b"Inference-Header-Content-Length: %d" % len(GOOD), b"Inference-Header-Content-Length: 5"),
    ),
    "v2-header-zero": ("400", infer(SIXTEEN[1:], b"Inference-Header-Content-Length: 0")),
    # around the body
    "v2-model-unknown": ("404", infer(GOOD, path=b"/v2/models/" + b"m" * 10_000 + b"/infer")),
    "v2-model-traversal": ("404", infer(GOOD, path=b"/v2/models/..%2f..%2ftwo/infer")),
    "v2-model-control-characters": ("404", infer(GOOD, path=b"/v2/models/two%0d%0aX-Injected:%201/infer")),
    "v2-get": ("405", infer(b"").replace(b"POST", b"GET")),
    "v2-gzip-bomb": ("413", infer(BOMB, b"Content-Encoding: gzip")),
    "v2-gzip-cut": ("400", infer(BOMB[:1000], b"Content-Encoding: gzip")),
    "v2-body-over-limit": ("413", infer(b" " * (LIMIT + 1))),
    "v2-half-close-in-body": ("close|400", infer(GOOD)[:-10], "half-close"),
    "v2-reset-in-body": ("close", infer(GOOD)[:-10], "reset"),
    "v2-vanish-after-request": ("close", binary(SIXTEEN), "vanish"),
    "v1-good": ("200", infer(b'{"instances":[[1,2]]}', path=b"/v1/models/two:predict")),
    "v1-deep": ("400", infer(b'{"instances":' + b"[" * 100_000, path=b"/v1/models/two:predict")),
}
