"""Compressed data is undone piece by piece, however it is cut."""

from __future__ import annotations

import gzip
import random
import sys
import zlib
from collections.abc import Iterator

import pytest

from drum_litestar.errors import MissingExtraError
from drum_litestar.middleware.content_coding import codings
from drum_litestar.middleware.content_coding.codings import PIECE, Coding, CodingError, available_codings, find_coding

DATA = b"a,b\n" + b"".join(b"%d,%d\n" % (number, number * 7919 % 1000) for number in range(60_000))


@pytest.fixture(params=["gzip", "zstd"])
def coding(request: pytest.FixtureRequest) -> Coding:
    if request.param == "zstd":
        pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    found = find_coding(request.param)
    assert found is not None
    return found


def undone(coding: Coding, *chunks: bytes) -> tuple[bytes, bool]:
    decoder = coding.decoder()
    pieces = [piece for chunk in chunks for piece in decoder.pieces(chunk)]
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces), decoder.complete


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
def test_any_cut(coding: Coding, size: int) -> None:
    assert undone(coding, *cut(coding.compress(DATA), size)) == (DATA, True)


def test_what_is_compressed_begins_with_the_magic(coding: Coding) -> None:
    for data in (b"", b"x", DATA, random.Random(3).randbytes(100_000)):
        packed = coding.compress(data)
        assert packed.startswith(coding.magic)
        assert undone(coding, packed) == (data, True)


def test_several_members(coding: Coding) -> None:
    packed = coding.compress(b"a,b\n") + coding.compress(b"") + coding.compress(b"1,2\n")
    for size in (1, 20, 1000):
        assert undone(coding, *cut(packed, size)) == (b"a,b\n1,2\n", True)


def test_a_bomb_is_made_piece_by_piece(coding: Coding) -> None:
    decoder = coding.decoder()
    packed = coding.compress(bytes(64 * PIECE))
    assert len(packed) < PIECE
    assert next(iter(decoder.pieces(packed))) == bytes(PIECE)


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
def test_sizes_around_a_piece(coding: Coding, size: int) -> None:
    assert undone(coding, coding.compress(bytes(size))) == (bytes(size), True)


def test_a_cut_end_is_not_complete(coding: Coding) -> None:
    packed = coding.compress(DATA)
    assert undone(coding, packed[:-1])[1] is False
    assert undone(coding, packed, packed[:3])[1] is False


def test_damage(coding: Coding) -> None:
    packed = bytearray(coding.compress(random.Random(5).randbytes(1000)))
    with pytest.raises(CodingError):
        undone(coding, bytes(packed[:6]) + b"\xff" * 100)
    with pytest.raises(CodingError):
        undone(coding, bytes(packed) + b"rubbish at the end")


def test_gzip_checks_its_sum_and_allows_zeros_at_the_end() -> None:
    found = find_coding("gzip")
    assert found is not None
    packed = gzip.compress(b"a,b\n1,2\n", mtime=0)
    assert undone(found, packed + bytes(100), bytes(100)) == (b"a,b\n1,2\n", True)
    with pytest.raises(CodingError, match="incorrect data check"):
        undone(found, packed[:-8] + b"\0\0\0\0" + packed[-4:])
    assert find_coding("x-gzip") is not None
    assert zlib.decompress(found.compress(DATA), 31) == DATA


def test_zstd_of_a_large_window_is_refused_before_its_memory_is_taken() -> None:
    zstd = pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd")
    found = find_coding("zstd")
    assert found is not None
    frame = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    packed = frame.compress(b"x" * 1000) + frame.flush()
    with pytest.raises(CodingError, match="too much memory"):
        undone(found, packed)
    frame = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 23})
    assert undone(found, frame.compress(DATA) + frame.flush()) == (DATA, True)
    assert undone(found, b"\x50\x2a\x4d\x18\x05\0\0\0hello" + zstd.compress(b"x")) == (b"x", True)


def test_unknown_codings() -> None:
    assert find_coding("br") is None
    assert available_codings()[-1].name == "gzip"


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="zstd is a part of Python")
def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    find, available = codings.find_coding.__wrapped__, codings.available_codings.__wrapped__
    monkeypatch.setattr(codings, "find_coding", find)
    assert [coding.name for coding in available()] == ["gzip"]
    with pytest.raises(MissingExtraError, match=r"needs the package 'backports.zstd', which is not installed. Install"):
        find("zstd")
