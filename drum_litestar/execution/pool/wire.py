"""Frames between the HTTP process and a model worker.

A frame is a 12-byte prefix (length of the meta part, length of the body), the meta part (one message below, as
msgpack) and the body: raw bytes that are never encoded, such as a payload or an answer.
"""

from __future__ import annotations

import signal
import struct
from collections.abc import Sequence
from typing import Any, Dict, Final, List, Optional, Tuple, Union

import msgspec

from drum_litestar.execution.invoke import BatchPart
from drum_litestar.predictors.protocol import ModelCall, ModelCard, Payload, Reply, StreamHead

PREFIX = struct.Struct("<IQ")
BUFFER = 128 * 1024
"""Frames up to this size are read through one reused buffer; larger ones into a buffer of their own."""
JOIN = 16 * 1024
"""Frames up to this size are joined before they are sent, larger ones are sent as they are, part by part."""


class Init(msgspec.Struct, tag=0, array_like=True):
    """First frame to a worker: what it needs before it imports any user code."""

    worker: int
    parent: int
    """Process id of the HTTP process."""
    spec_type: str
    """``module:Class`` of the spec, a ``msgspec.Struct``."""
    spec: bytes
    """The spec as msgpack."""
    argv: Tuple[str, ...]
    path: Optional[Tuple[str, ...]]
    """``sys.path`` of the HTTP process; None leaves an interpreter of the model's own its path."""
    threads: Optional[int]
    """Concurrent calls; None takes the card's, or ``least_threads`` if that is more and the model may wait."""
    least_threads: int
    builder: str
    """``module:function`` that builds the predictor."""
    builder_kwargs: Dict[str, Any]


class Call(msgspec.Struct, tag=1, array_like=True):
    """Run ``call``. Payloads in memory follow as the body, one after the other (see :func:`call_frame`)."""

    id: int
    call: ModelCall


class InMemoryFile(msgspec.Struct, tag=13, array_like=True):
    """The frame is in a file whose descriptor comes with this message."""


class Batch(msgspec.Struct, tag=11, array_like=True):
    """Run ``calls`` as one if possible. Their bodies are small and stay in the calls."""

    id: int
    calls: List[ModelCall]


class Grant(msgspec.Struct, tag=2, array_like=True):
    """The reader of stream ``id`` has taken ``size`` bytes."""

    id: int
    size: int


class Cancel(msgspec.Struct, tag=3, array_like=True):
    """Drop call ``id`` if it has not begun, close its generator if it streams."""

    id: int


class Stop(msgspec.Struct, tag=4, array_like=True):
    """No more calls will come: clean up and exit."""


class Ready(msgspec.Struct, tag=5, array_like=True):
    """The model is loaded; ``threads`` calls may run at once."""

    card: ModelCard
    threads: int


class LoadFailed(msgspec.Struct, tag=6, array_like=True):
    """The fields of a :class:`drum_litestar.errors.ModelLoadError`; the worker exits after it."""

    reason: str
    exit_code: int
    detail: str
    remedy: str


class Answer(msgspec.Struct, tag=7, array_like=True):
    """A complete reply, without its body, which follows. ``seconds`` is the model's own time."""

    id: int
    seconds: float
    reply: Reply


class BatchAnswer(msgspec.Struct, tag=12, array_like=True):
    """Answers to some members of batch ``id``; bodies stay in the replies."""

    id: int
    part: BatchPart


class StreamBegin(msgspec.Struct, tag=8, array_like=True):
    """The answer to call ``id`` begins as a stream."""

    id: int
    head: StreamHead


class Chunk(msgspec.Struct, tag=9, array_like=True):
    """One piece of stream ``id``, in the body."""

    id: int


class StreamEnd(msgspec.Struct, tag=10, array_like=True):
    """The generator of stream ``id`` is closed; ``failed`` when it raised."""

    id: int
    seconds: float
    failed: bool


SHOW_STACKS: Final = signal.SIGUSR1
"""Signal at which a worker prints where its threads are."""

ToWorker = Union[Init, Call, Batch, InMemoryFile, Grant, Cancel, Stop]
FromWorker = Union[Ready, LoadFailed, Answer, BatchAnswer, StreamBegin, Chunk, StreamEnd]
Buffers = List[bytes]

encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode


def frame(message: Any, *body: bytes) -> Buffers:
    """The buffers to send, in order."""
    meta = encode(message)
    size = sum(map(len, body))
    head = PREFIX.pack(len(meta), size)
    if size <= JOIN:
        return [b"".join((head, meta, *body))]
    return [head + meta, *body]


_PAYLOADS = ("body", "x", "y", "colnames")


def call_frame(call_id: int, call: ModelCall) -> Buffers:
    """``call`` as a frame: the bytes of its payloads move from the meta part to the body, uncopied when large."""
    segments = []
    without_data = {}
    for name in _PAYLOADS:
        payload: Payload | None = getattr(call, name)
        if payload is not None and payload.data is not None:
            segments.append(payload.data)
            without_data[name] = Payload(
                None, None, len(payload.data), payload.filename, payload.mimetype, payload.charset
            )
    return frame(Call(call_id, msgspec.structs.replace(call, **without_data) if without_data else call), *segments)


def fill(call: ModelCall, body: bytes | memoryview) -> ModelCall:
    """Put the payloads that :func:`call_frame` moved to the body back into ``call``."""
    start = 0
    filled = {}
    for name in _PAYLOADS:
        payload: Payload | None = getattr(call, name)
        if payload is not None and payload.path is None:
            end = start + payload.size
            filled[name] = Payload(
                bytes(body[start:end]), None, payload.size, payload.filename, payload.mimetype, payload.charset
            )
            start = end
    return msgspec.structs.replace(call, **filled) if filled else call


def unsent(buffers: Sequence[bytes | memoryview], sent: int) -> list[memoryview]:
    """The rest of ``buffers`` after ``sent`` bytes."""
    rest = []
    for buffer in buffers:
        size = len(buffer)
        if sent >= size:
            sent -= size
        else:
            rest.append(memoryview(buffer)[sent:])
            sent = 0
    return rest


class FrameReader:
    """Cuts a byte stream into frames, without I/O: read into :meth:`space`, call :meth:`added`, then :meth:`next`.

    A frame's parts are views of the reader's buffer: use or copy them before the next read.
    """

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(BUFFER))
        self._start = self._end = 0
        self._large: memoryview | None = None
        self._filled = 0
        self._meta = 0

    def space(self) -> memoryview:
        """The buffer to read into; never empty once :meth:`next` has returned None."""
        if self._large is not None:
            return self._large[self._filled :]
        return self._buffer[self._end :]

    def added(self, size: int) -> None:
        """``size`` bytes were read into :meth:`space`."""
        if self._large is not None:
            self._filled += size
        else:
            self._end += size

    def next(self) -> tuple[memoryview, memoryview] | None:
        """Meta part and body of the next complete frame; None when more must be read."""
        if self._large is not None:
            if self._filled < len(self._large):
                return None
            large, self._large = self._large, None
            return large[: self._meta], large[self._meta :]
        start = self._start
        available = self._end - start
        if available < PREFIX.size:
            self._compact()
            return None
        meta, body = PREFIX.unpack_from(self._buffer, start)
        start += PREFIX.size
        end = start + meta + body
        if end <= self._end:
            self._start = end
            return self._buffer[start : start + meta], self._buffer[start + meta : end]
        if PREFIX.size + meta + body > BUFFER:
            self._large = memoryview(bytearray(meta + body))
            self._meta = meta
            self._filled = self._end - start
            self._large[: self._filled] = self._buffer[start : self._end]
            self._start = self._end = 0
        else:
            self._compact()
        return None

    def _compact(self) -> None:
        """Move the incomplete frame to the front of the buffer."""
        rest = self._end - self._start
        if rest and self._start:
            self._buffer[:rest] = bytes(self._buffer[self._start : self._end])
        self._start, self._end = 0, rest
