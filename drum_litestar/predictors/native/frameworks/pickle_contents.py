"""What the file of a pickled model needs to be loaded, read from its opcodes: nothing of it is executed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import itertools
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Optional, Tuple, cast

MAX_OPCODES = 2_000_000
"""Opcodes that are read, some seconds' worth: modules appear early, where their first object begins."""
MAX_INFLATED = 256 * 1024 * 1024
"""Bytes of a stream that are looked at, at most, where it is not read opcode by opcode."""

_JOBLIB = "joblib.numpy_pickle"
_REFERENCE = re.compile(rb"\x8c(.)([A-Za-z_][\w.]*)\x94\x8c.\w+\x94\x93", re.DOTALL)
"""SHORT_BINUNICODE, MEMOIZE, twice, and STACK_GLOBAL: what the pickler writes where a module is named first."""
_ENDS = (ValueError, IndexError, EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
"""What reading raises at the end of a pickle, and in damaged files."""
_STORES = frozenset({"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"})
_LOADS = frozenset({"GET", "BINGET", "LONG_BINGET"})


def needed_modules(path: Path) -> List[str]:
    """Full names of the modules whose objects the pickle in ``path`` refers to, in their order, each once.

    Understands joblib's compressed files and torch's archives. Reading ends where the file is not a pickle any more,
    and what was found until then is returned; joblib's, whose arrays lie between the opcodes, are searched further.
    """
    found: Dict[str, None] = {}
    with contextlib.suppress(*_ENDS):
        for stream in _pickles(path):
            for module in _globals(stream):
                found.setdefault(module)
    if _JOBLIB in found:
        with contextlib.suppress(*_ENDS):
            for module in _behind_arrays(path):
                found.setdefault(module)
    return list(found)


def _behind_arrays(path: Path) -> Iterator[str]:
    """Modules of the opcodes that look like the reference to an object, anywhere in a file of joblib's."""
    for stream in _pickles(path):
        for length, module in _REFERENCE.findall(stream.read(MAX_INFLATED)):
            if length[0] == len(module):
                yield module.decode("ascii")


def is_joblib(path: Path) -> bool:
    """``path`` was written by ``joblib.dump``, in a form that ``pickle`` cannot read."""
    with path.open("rb") as file:
        head = file.read(8)
    return _compression(head) is not None or _JOBLIB in needed_modules(path)


def _compression(head: bytes) -> Optional[str]:
    if head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        return "zlib"
    for name, magic in (("gzip", b"\x1f\x8b"), ("bz2", b"BZh"), ("lzma", b"\xfd7zXZ"), ("lzma", b"]\x00")):
        if head.startswith(magic):
            return name
    return None


def _pickles(path: Path) -> Iterator[BinaryIO]:
    """The streams of pickles in ``path``, inflated."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    with archive.open(name) as member:
                        yield cast("BinaryIO", member)
        return
    with path.open("rb") as file:
        compression = _compression(file.read(8))
        file.seek(0)
        if compression == "gzip":
            yield cast("BinaryIO", gzip.GzipFile(fileobj=file))
        elif compression == "bz2":
            yield cast("BinaryIO", bz2.BZ2File(file))
        elif compression == "lzma":
            yield cast("BinaryIO", lzma.LZMAFile(file))  # noqa: SIM115 - the file below it is closed
        elif compression == "zlib":
            yield io.BytesIO(zlib.decompressobj().decompress(file.read(), MAX_INFLATED))
        else:
            yield file


def _globals(stream: BinaryIO) -> Iterator[str]:
    """Modules of the objects that the pickles in ``stream``, one behind the other, name. Raises what ends them."""
    memo: Dict[int, Optional[str]] = {}
    strings: List[Optional[str]] = [None, None]
    top: Optional[str] = None
    for opcode, argument in itertools.islice(_operations(stream), MAX_OPCODES):
        name = opcode.name
        if name in _STORES:
            memo[len(memo) if name == "MEMOIZE" else int(argument)] = top
            continue
        top = None
        if name in ("GLOBAL", "INST"):
            yield str(argument).partition(" ")[0]
        elif name == "STACK_GLOBAL":
            if strings[0] is not None:
                yield strings[0]
        elif name in _LOADS or isinstance(argument, str):
            top = memo.get(argument) if name in _LOADS else argument
            strings = [strings[1], top]
        elif name == "STOP":
            memo = {}


def _operations(stream: BinaryIO) -> Iterator[Tuple[pickletools.OpcodeInfo, Any]]:
    """Opcodes with their arguments, of one pickle after the other."""
    while True:
        for opcode, argument, _ in pickletools.genops(stream):
            yield opcode, argument
