"""Incremental parser of the file parts of a ``multipart/form-data`` body.

Only the parts that structured routes read are kept (contract, 3.5 and 3.8); all others are counted, bounded and
dropped.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from drum_litestar.errors import FormTooLargeError
from drum_litestar.http.bodies import BodyStream, Sink, Spool
from drum_litestar.media_types import split_content_type
from drum_litestar.name_clashes import own_modules
from drum_litestar.predictors.protocol import Payload
from drum_litestar.settings.groups.limits import UploadSettings

with own_modules():
    from multipart import (  # type: ignore[import-untyped]
        MultipartError,
        MultipartSegment,
        ParserLimitReached,
        PushMultipartParser,
    )

FILE_PARTS: Final = frozenset({"X", "y", "X.colnames"})

MAX_PART_HEADERS = 64
MAX_PART_HEADER_SIZE = 16 * 1024


async def read_form(stream: BodyStream, spool: Spool, boundary: str, uploads: UploadSettings) -> dict[str, Payload]:
    """Return the first file part of each name in ``FILE_PARTS``.

    A malformed or truncated form has no parts at all, as under DRUM (which answers "Samples should be provided").
    Raises FormTooLargeError, and what ``stream`` and :class:`Sink` raise.
    """
    collector = _Collector(spool, uploads.max_field_size)
    try:
        parser = PushMultipartParser(
            boundary.encode("latin-1"),
            max_header_size=MAX_PART_HEADER_SIZE,
            max_header_count=MAX_PART_HEADERS,
            max_segment_count=uploads.max_form_parts,
        )
        while chunk := await stream.read():
            for event in parser.parse(chunk):
                await collector.take(event)
        parser.close()
    except ParserLimitReached:
        # The limits of a part's headers have no setting.
        too_many = collector.segments >= uploads.max_form_parts
        raise FormTooLargeError("DRUM_FORM_MAX_PARTS" if too_many else None) from None
    except MultipartError:
        return {}
    return collector.parts


class _Collector:
    """Collects payloads from the parser's events."""

    def __init__(self, spool: Spool, max_field_size: int) -> None:
        self._spool = spool
        self._max_field_size = max_field_size
        self._segment: Any = None
        self._filename: str | None = None
        self._field_size = 0
        self._sink: Sink | None = None
        self.segments = 0
        self.parts: dict[str, Payload] = {}

    async def take(self, event: Any) -> None:
        """Process an event: a segment starts a part, bytes continue it, None ends it."""
        if event is None:
            await self._end()
        elif isinstance(event, MultipartSegment):
            self._segment = event
            self.segments += 1
            self._filename = _filename(event)
            self._field_size = 0
            wanted = self._filename is not None and event.name in FILE_PARTS and event.name not in self.parts
            self._sink = Sink(self._spool) if wanted else None
        elif self._sink is not None:
            await self._sink.write(event)
        elif self._filename is None:
            self._field_size += len(event)
            if self._field_size > self._max_field_size:
                raise FormTooLargeError("DRUM_FORM_MAX_FIELD_SIZE")

    async def _end(self) -> None:
        if self._sink is not None:
            data, path = await self._sink.finish()
            self.parts[self._segment.name] = Payload(
                data=data,
                path=path,
                size=self._sink.size,
                filename=self._filename,
                mimetype=split_content_type(self._segment.header("Content-Type", ""))[0],
            )
        self._segment = self._filename = self._sink = None


def _filename(segment: Any) -> str | None:
    """Return the part's file name, None for a plain field. The form ``filename*=`` has precedence, as with DRUM."""
    plain: str | None = segment.filename
    disposition: str = segment.header("Content-Disposition", "")
    if "filename*=" not in disposition:
        return plain
    encoded = disposition.partition("filename*=")[2].partition(";")[0].strip().strip('"')
    charset, _, value = encoded.partition("''")
    try:
        return unquote(value, encoding=charset or "utf-8", errors="replace")
    except LookupError:
        return plain or value
