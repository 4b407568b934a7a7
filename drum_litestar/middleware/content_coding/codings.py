"""The content codings that this server knows: gzip, and zstd where Python (3.14) or a package brings it."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, Protocol

from drum_litestar.errors import MissingExtraError

PIECE: Final = 256 * 1024
"""Most bytes that a decoder makes at once, however many a compressed body promises: a millisecond or so."""

_GZIP_FORMAT: Final = 31
"""``wbits`` of zlib for the largest window and gzip's header and check sum."""
_LARGEST_WINDOW: Final = 23
"""Logarithm of the 8 MiB of memory that a body in zstd may ask for (RFC 9659)."""
_LEVEL: Final = 1
"""A third of the time of the usual level, for a tenth more bytes of numbers in JSON."""


class CodingError(ValueError):
    """The data is not in the coding."""


class Decoder(Protocol):
    """Undoes a coding, piece by piece."""

    complete: bool
    """The data so far ends where it may end."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What ``data`` adds, in pieces of at most :data:`PIECE` bytes. Raises CodingError."""


class Coding:
    """One content coding."""

    def __init__(
        self, name: str, magic: tuple[bytes, ...], decoder: Callable[[], Decoder], compress: Callable[[bytes], bytes]
    ) -> None:
        self.name = name
        self.magic = magic
        """How its data begins, as no CSV and no JSON does."""
        self.decoder = decoder
        self.compress = compress


class GzipDecoder:
    """One or more members; zeros may follow, as ``gzip`` itself allows."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_FORMAT)
        self.complete = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        piece = b""
        while data or len(piece) == PIECE:  # a full piece: more may come from what zlib has read already
            if self.complete:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._member = zlib.decompressobj(_GZIP_FORMAT)
                self.complete = False
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error as error:
                raise CodingError(str(error)) from error
            self.complete = self._member.eof
            data = self._member.unused_data if self.complete else self._member.unconsumed_tail
            if piece:
                yield piece


class ZstdDecoder:
    """One or more frames."""

    def __init__(self, zstd: Any) -> None:
        self._zstd = zstd
        self._frame = self._new_frame()
        self.complete = False

    def _new_frame(self) -> Any:
        return self._zstd.ZstdDecompressor(options={self._zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW})

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data or not self._frame.needs_input:
            try:
                piece = self._frame.decompress(data, PIECE)
            except self._zstd.ZstdError as error:
                raise CodingError(str(error)) from error
            data, self.complete = b"", self._frame.eof
            if self.complete:
                data, self._frame = self._frame.unused_data, self._new_frame()
            if piece:
                yield piece


def _gzip_compress(data: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP_FORMAT)
    return packer.compress(data) + packer.flush()


def _gzip() -> Coding:
    return Coding("gzip", (b"\x1f\x8b",), GzipDecoder, _gzip_compress)


def _zstd_module() -> Any:
    """Python's own, or the package with the same interface. Raises MissingExtraError."""
    try:
        return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ModuleNotFoundError as error:
        raise MissingExtraError("Content-Encoding zstd", "zstd", "backports.zstd") from error


def _zstd() -> Coding:
    """Raises MissingExtraError."""
    zstd = _zstd_module()
    skippable = tuple(bytes((first,)) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))
    return Coding(
        "zstd", (b"\x28\xb5\x2f\xfd", *skippable), lambda: ZstdDecoder(zstd), lambda data: zstd.compress(data, _LEVEL)
    )


_MAKERS: Final[dict[str, Callable[[], Coding]]] = {"zstd": _zstd, "gzip": _gzip, "x-gzip": _gzip}
"""The better one first."""


@lru_cache(maxsize=8)
def find_coding(name: str) -> Coding | None:
    """The coding of that name, in lower case; None for an unknown one. Raises MissingExtraError, which names the pip
    command."""
    maker = _MAKERS.get(name)
    return None if maker is None else maker()


@lru_cache(maxsize=1)
def available_codings() -> tuple[Coding, ...]:
    """The codings that need nothing that is missing, the better one first."""
    found = []
    for name in ("zstd", "gzip"):
        try:
            coding = find_coding(name)
        except MissingExtraError:
            continue
        if coding is not None:
            found.append(coding)
    return tuple(found)
