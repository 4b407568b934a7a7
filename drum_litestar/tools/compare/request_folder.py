"""Corpus in a folder of request bodies. A file's folder is its route, its suffix the content type::

    corpus/
      predict/one.csv                        POST /predict/              text/csv
      predictUnstructured/a.json             POST /predictUnstructured/  application/json
      v1/chat/completions/hello.json         POST /v1/chat/completions   application/json
      transform/upload.bin                   POST /transform/, with the headers of
      transform/upload.bin.request.json        {"headers": {"Content-Type": "multipart/form-data; boundary=b"}}
      info.request.json                      {"method": "GET", "target": "/info/"}: no body

``NAME.request.json`` overrides ``method``, ``target`` and ``headers`` of the file ``NAME`` beside it, or describes a
request without a body when there is no such file. Files in the top folder go to ``/predict/``. Hidden ones are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from drum_litestar.errors import UsageError
from drum_litestar.tools.compare.messages import Headers, Request

SIDECAR: Final = ".request.json"
CONTENT_TYPES: Final = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".mtx": "text/mtx",
    ".arrow": "application/vnd.apache.arrow.file",
    ".arrows": "application/vnd.apache.arrow.stream",
    ".parquet": "application/vnd.apache.parquet",
    ".txt": "text/plain",
}
"""Any other suffix is ``application/octet-stream``."""
WITHOUT_SLASH: Final = frozenset(("invocations", "chat/completions", "v1/chat/completions", "models", "v1/models"))
"""Routes without a final slash in DRUM (contract, 3.1)."""


class Override(msgspec.Struct, forbid_unknown_fields=True):
    """The contents of a ``NAME.request.json``."""

    method: str | None = None
    target: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


def read_folder(root: Path) -> Iterator[Request]:
    """Read the requests below ``root``, sorted by path. Raises UsageError, with the file's name, on failure."""
    files = {
        path.relative_to(root): path
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }
    for place, path in files.items():
        try:
            if place.name.endswith(SIDECAR):
                body_file = place.with_name(place.name.removesuffix(SIDECAR))
                if body_file not in files:
                    yield _bodyless(body_file, _override(path))
                continue
            sidecar = files.get(place.with_name(place.name + SIDECAR))
            yield _with_body(place, path.read_bytes(), Override() if sidecar is None else _override(sidecar))
        except OSError as error:
            raise UsageError(f"--corpus {root}: {path} cannot be read: {error.strerror or error}.") from error


def _with_body(place: Path, body: bytes, override: Override) -> Request:
    headers: Headers = tuple(override.headers.items())
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers += (("Content-Type", CONTENT_TYPES.get(place.suffix.lower(), "application/octet-stream")),)
    return Request(place.as_posix(), override.method or "POST", override.target or _route(place.parent), headers, body)


def _bodyless(place: Path, override: Override) -> Request:
    target = override.target or _route(place)
    return Request(place.as_posix(), override.method or "GET", target, tuple(override.headers.items()))


def _route(folder: Path) -> str:
    name = folder.as_posix()
    if name == ".":
        return "/predict/"
    return f"/{name}" if name in WITHOUT_SLASH else f"/{name}/"


def _override(path: Path) -> Override:
    try:
        override = msgspec.json.decode(path.read_bytes(), type=Override)
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"--corpus: {path} is not a request description: {error}. It may hold method, target and headers."
        ) from error
    if override.target is not None and not override.target.startswith("/"):
        raise UsageError(f"--corpus: {path}: target '{override.target}' does not start with a slash.")
    return override
