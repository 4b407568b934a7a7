from __future__ import annotations

import os
import random

import msgspec
import pytest

from drum_litestar.execution.pool import wire
from drum_litestar.predictors.protocol import (
    ModelCall,
    ModelCard,
    Payload,
    Reply,
    SpanReport,
    StreamHead,
    TargetType,
)

FROM_WORKER = [
    wire.Ready(ModelCard(target_type=TargetType.BINARY, info={"a": [1, None]}), 4),
    wire.LoadFailed("text", 3, "Traceback", "remedy"),
    wire.Answer(7, 0.25, Reply(status=422, content_type=None, headers=(("A", "b"),), span=SpanReport({"k": 1}))),
    wire.StreamBegin(2**40, StreamHead(status=201)),
    wire.Chunk(3),
    wire.StreamEnd(3, 1.5, True),
]


@pytest.mark.parametrize("message", FROM_WORKER, ids=lambda message: type(message).__name__)
def test_messages_come_back_equal(message: object) -> None:
    assert wire.decode_from_worker(wire.encode(message)) == message


@pytest.mark.parametrize(
    "call",
    [
        ModelCall(kind="models"),
        ModelCall(kind="chat", request_id="r", body=Payload(data=b"{}", size=2, mimetype="application/json")),
        ModelCall(
            kind="transform",
            x=Payload(data=b"x" * 50_000, size=50_000, filename="X.csv"),
            y=Payload(path="/spool/y", size=99, filename="y.csv"),
            colnames=Payload(data=b"", size=0, filename="c"),
            headers=(("A", "b"), ("a", "c")),
            query=(("q", "1"), ("q", "2")),
            trace={"traceparent": "00-1-2-3"},
        ),
    ],
)
def test_calls_travel_with_their_payloads(call: ModelCall) -> None:
    reader = wire.FrameReader()
    feed(reader, b"".join(wire.call_frame(5, call)))
    parts = reader.next()
    assert parts is not None
    message = wire.decode_to_worker(parts[0])
    assert isinstance(message, wire.Call)
    assert message.id == 5
    assert wire.fill(message.call, parts[1]) == call


def test_large_bodies_are_not_copied_into_the_frame() -> None:
    data = os.urandom(wire.JOIN + 1)
    buffers = wire.call_frame(1, ModelCall(kind="predict", x=Payload(data=data, size=len(data))))
    assert buffers[1] is data


def feed(reader: wire.FrameReader, data: bytes) -> None:
    space = reader.space()
    assert len(space) >= len(data)
    space[: len(data)] = data
    reader.added(len(data))


@pytest.mark.parametrize("seed", range(20))
def test_frames_survive_any_cut(seed: int) -> None:
    dice = random.Random(seed)
    edges = [0, 1, wire.JOIN - 1, wire.JOIN, wire.JOIN + 1, wire.BUFFER - 40, wire.BUFFER - 12, wire.BUFFER]
    sizes = [dice.choice([*edges, 3 * wire.BUFFER, dice.randrange(200_000)]) for _ in range(12)]
    frames = [(wire.Chunk(number), dice.randbytes(size)) for number, size in enumerate(sizes)]
    data = memoryview(b"".join(b"".join(wire.frame(message, body)) for message, body in frames))
    reader = wire.FrameReader()
    seen = []
    while data:
        space = reader.space()
        size = min(len(space), len(data), dice.choice([1, 12, 13, 1000, 65536, 10**6]))
        space[:size] = data[:size]
        reader.added(size)
        data = data[size:]
        while (parts := reader.next()) is not None:
            seen.append((wire.decode_from_worker(parts[0]), bytes(parts[1])))
        assert reader.space()
    assert seen == frames


def test_what_is_not_a_frame_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        wire.decode_from_worker(b"\x93\x63\x01\x02")


@pytest.mark.parametrize(("sent", "rest"), [(0, b"abcdef"), (2, b"cdef"), (3, b"def"), (5, b"f"), (6, b"")])
def test_unsent_is_what_is_left(sent: int, rest: bytes) -> None:
    assert b"".join(wire.unsent([b"ab", b"c", b"", b"def"], sent)) == rest
