"""Scoring a file: whole or in parts, in order, with a bounded number of parts under way."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from drum_litestar.errors import FailedError
from drum_litestar.launcher.model_session import ModelSession
from drum_litestar.media_types import parameter, split_content_type
from drum_litestar.predictors.protocol import CSV_HEADER, GZIP_MAGIC, ModelCall, Payload, Reply
from drum_litestar.tools.predict.part_types import ColumnTypes
from drum_litestar.tools.predict.table_parts import Part, UncuttableError, cut

CHUNK_ROWS = 65_536
"""Rows of a part. A file of fewer rows is one table. A power of two, because libraries that sum over blocks of rows
then see the same blocks as in the whole table."""

Advance = Callable[[int, str], None]
"""Called with the bytes of the file that are done, and what was done with them."""
Note = Callable[[str], None]


class Rows(NamedTuple):
    """Some of the answer, in order."""

    header: bytes
    rows: bytes


class Request(NamedTuple):
    """What is to be scored, and how."""

    path: Path
    chunk_rows: int | None = None
    """Asked for; None leaves it to the model and the file."""
    whole: bool = False
    colnames: Path | None = None
    query: str = ""
    content_type: str = ""

    @property
    def is_matrix(self) -> bool:
        return self.path.suffix == ".mtx"


async def score_unstructured(session: ModelSession, request: Request) -> bytes:
    """The answer to the file's bytes. Raises FailedError."""
    mimetype, parameters = split_content_type(request.content_type)
    charset = parameter(parameters, "charset") if parameters else None
    body = Payload(path=str(request.path), size=request.path.stat().st_size, mimetype=mimetype, charset=charset)
    query = tuple(parse_qsl(request.query, keep_blank_values=True))
    reply = await session.ask(ModelCall(kind="unstructured", body=body, query=query))
    return _checked(reply, f"{request.path}").body


async def score_table(session: ModelSession, request: Request, advance: Advance, note: Note) -> AsyncIterator[Rows]:
    """The answer to the file's rows. Raises FailedError, and RequestError when no worker can answer."""
    if not session.card.any_format and _is_gzip(request.path):
        raise FailedError(f"{request.path}: it is compressed with gzip; unpack it first (gunzip)")
    types: dict[str, str] | None = None
    rows = request.chunk_rows or CHUNK_ROWS
    if request.chunk_rows is not None and (request.is_matrix or session.card.any_format):
        why = "Matrix Market" if request.is_matrix else "what the hook read_input_data reads"
        note(f"scored as one table: {why} cannot be cut into parts")
    elif _may_be_cut(session, request):
        types = await _column_types(session, request, rows, advance, note)
    if types is None:
        advance(0, "as one table")
        yield _rows(_checked(await session.ask(_whole(request)), str(request.path)))
        return

    def call(part: Part) -> ModelCall:
        return ModelCall(kind="score", x=_payload(part.data), column_types=types or {})

    async for part, reply in _in_order(session, cut(request.path, rows), call):
        yield _rows(_checked(reply, f"{request.path}, rows {part.first:,} to {part.last:,}"))
        advance(part.end, f"{part.last:,} rows")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def _may_be_cut(session: ModelSession, request: Request) -> bool:
    if request.whole or request.is_matrix or session.card.any_format:
        return False
    return request.chunk_rows is not None or session.card.row_by_row


async def _column_types(
    session: ModelSession, request: Request, rows: int, advance: Advance, note: Note
) -> dict[str, str] | None:
    """The types to send along with each part; None where the file is to be scored as one table, which ``note`` is told
    unless there is only one part."""
    found, count = ColumnTypes(), 0
    try:
        parts = cut(request.path, rows)

        def call(part: Part) -> ModelCall:
            return ModelCall(kind="column_types", x=_payload(part.data))

        async for part, reply in _in_order(session, parts, call):
            count += 1
            if reply.status != 200:
                return None  # the whole file's error names the right line
            found.add(json.loads(reply.body))
            advance(part.end, f"{part.last:,} rows read for the types of columns")
        problem = found.problem(insist=request.chunk_rows is not None)
    except UncuttableError as error:
        problem, count = str(error), 2
    if count < 2:
        return None
    if problem:
        note(f"scored as one table, as {problem}; --chunk-rows N scores it in parts all the same")
        return None
    return found.forced()


async def _in_order(
    session: ModelSession, parts: Any, call: Callable[[Part], ModelCall]
) -> AsyncIterator[tuple[Part, Reply]]:
    """The answers to ``call`` of each of ``parts``, in order: one for each worker is under way, and one is ready."""
    under_way: deque[tuple[Part, asyncio.Task[Reply]]] = deque()
    try:
        for part in parts:
            under_way.append((part._replace(data=b""), asyncio.ensure_future(session.ask(call(part)))))
            if len(under_way) > session.workers:
                done, task = under_way.popleft()
                yield done, await task
        while under_way:
            done, task = under_way.popleft()
            yield done, await task
    finally:
        for _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)


def _payload(data: bytes) -> Payload:
    return Payload(data=data, size=len(data), mimetype="text/csv")


def _whole(request: Request) -> ModelCall:
    size = request.path.stat().st_size
    mimetype = "text/mtx" if request.is_matrix else "text/csv"
    x = Payload(path=os.fspath(request.path), size=size, mimetype=mimetype)
    names = request.colnames
    colnames = None if names is None else Payload(path=os.fspath(names), size=names.stat().st_size)
    return ModelCall(kind="score", x=x, colnames=colnames)


def _rows(reply: Reply) -> Rows:
    return Rows(dict(reply.headers).get(CSV_HEADER, "").encode("utf-8"), reply.body)


def _checked(reply: Reply, subject: str) -> Reply:
    """``reply`` if it is an answer. Raises FailedError."""
    if reply.status == 200:
        return reply
    raise FailedError(f"{subject}: {message_of(reply)}")


def message_of(reply: Reply) -> str:
    """The text of an error's answer, and the hint that the server would log, in one line."""
    try:
        body = json.loads(reply.body)
        text = str(body.get("message") or body.get("error") or body)
    except ValueError:
        text = reply.body.decode("utf-8", "replace") or f"status {reply.status}"
    hint = f" ({reply.hint})" if reply.hint else ""
    return " ".join(f"{text.removeprefix('ERROR: ')}{hint}".split())
