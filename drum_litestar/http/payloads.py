"""Collectors: request to :class:`~drum_litestar.predictors.protocol.ModelCall`. Only a form's framing is parsed."""

from __future__ import annotations

import codecs
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, quote

from litestar.types import HTTPScope, Receive

from drum_litestar.errors import RequestError, UnprocessableError, UnsupportedMediaTypeError
from drum_litestar.http.bodies import BodyStream, Spool, read_raw
from drum_litestar.http.forms import read_form
from drum_litestar.media_types import (
    ARROW_STREAM,
    CSV,
    FORM,
    URLENCODED,
    is_json,
    parameter,
    preferred,
    split_content_type,
)
from drum_litestar.observability.tracing.context_carrier import W3C_FIELDS
from drum_litestar.predictors.protocol import CallKind, ModelCall, ModelCard, Payload
from drum_litestar.predictors.rules import NO_DATA, accepts, unsupported_format
from drum_litestar.request_state import request_state
from drum_litestar.settings.groups.limits import UploadSettings

logger = logging.getLogger(__name__)

TRACE_HEADERS: Final = frozenset(name.encode() for name in W3C_FIELDS)


_AS_SENT: Final = "drum_litestar.as_sent"
"""Name of a handler of ``decode`` errors: bytes of a query that are not UTF-8 stay escaped, as with DRUM."""


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return quote(error.object[error.start : error.end], safe=""), error.end


codecs.register_error(_AS_SENT, _escaped)


class Inbound:
    """One request, as the collectors read it."""

    __slots__ = ("card", "receive", "scope", "spool", "uploads")

    def __init__(
        self, scope: HTTPScope, receive: Receive, card: ModelCard, uploads: UploadSettings, spool: Spool
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.card = card
        self.uploads = uploads
        self.spool = spool

    def body(self) -> BodyStream:
        """Return the body, which can be read once."""
        return BodyStream(self.scope, self.receive)

    def content_type(self) -> str:
        """Return the last ``Content-Type``, which DRUM's framework uses; empty when there is none."""
        found = b""
        for name, value in self.scope["headers"]:
            if name == b"content-type":
                found = value
        return found.decode("latin-1")

    def preferred_answer(self) -> str:
        """The type, of those that the model may answer with, that the client prefers to JSON; else empty."""
        accept = b",".join([value for name, value in self.scope["headers"] if name == b"accept"]).decode("latin-1")
        if not accept or accept == "*/*":
            return ""
        return preferred(accept, (ARROW_STREAM, CSV) if ARROW_STREAM in self.card.mimetypes else (CSV,))

    def call(
        self,
        kind: CallKind,
        *,
        body: Payload | None = None,
        x: Payload | None = None,
        y: Payload | None = None,
        colnames: Payload | None = None,
        with_head: bool = False,
        answer: str = "",
    ) -> ModelCall:
        """Build the call. ``with_head`` adds query and headers, for hooks that are given them. ``answer``: as in the
        call."""
        scope = self.scope
        raw = scope["headers"] if with_head else ()
        headers = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
        query = scope["query_string"] if with_head else b""
        return ModelCall(
            kind=kind,
            request_id=request_state(scope).request_id,
            body=body,
            x=x,
            y=y,
            colnames=colnames,
            headers=headers,
            query=tuple(parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors=_AS_SENT)) if query else (),
            trace=self._trace(),
            answer=answer,
        )

    def _trace(self) -> dict[str, str]:
        """Return the trace context of the request's span; without tracing, the client's."""
        span = request_state(self.scope).span
        if span is not None:
            return span.carrier
        headers = self.scope["headers"]
        return {name.decode(): value.decode("latin-1") for name, value in headers if name in TRACE_HEADERS}


Collector: TypeAlias = Callable[[Inbound, CallKind], Awaitable[ModelCall]]
"""Reads a request into a call. Raises RequestError, ClientGoneError, and OSError for errors of the disk."""


async def collect_nothing(inbound: Inbound, kind: CallKind) -> ModelCall:
    """Collect a call without a body."""
    return inbound.call(kind, with_head=True)


async def collect_raw(inbound: Inbound, kind: CallKind) -> ModelCall:
    """Collect the whole body of any type; it may be empty (contract, 3.9)."""
    mimetype, parameters = split_content_type(inbound.content_type())
    charset = parameter(parameters, "charset") if parameters else None
    body = await read_raw(inbound.body(), inbound.spool, mimetype=mimetype, charset=charset)
    return inbound.call(kind, body=body, with_head=True)


async def collect_json(inbound: Inbound, kind: CallKind) -> ModelCall:
    """A body that says it is JSON; whether it is, the worker sees. Raises UnsupportedMediaTypeError."""
    if not is_json(split_content_type(inbound.content_type())[0]):
        raise UnsupportedMediaTypeError
    return await collect_raw(inbound, kind)


async def collect_structured(inbound: Inbound, kind: CallKind) -> ModelCall:
    """Collect X from a form's file part or from the raw body, with y and column names (contract, 3.5 and 3.8).

    Raises UnprocessableError: first for missing data, then for a format that the model cannot read. Raises
    MissingReaderError for one that it could read with another package.
    """
    mimetype, parameters = split_content_type(inbound.content_type())
    media = mimetype.lower() if mimetype else ""
    if media == FORM:
        boundary = parameter(parameters, "boundary")
        if boundary is not None:
            return await _collect_form(inbound, kind, boundary)
    elif media == URLENCODED:  # DRUM's framework has parsed such a form before DRUM reads the body
        _warn_of_curl()
        raise UnprocessableError(NO_DATA)
    stream = inbound.body()
    card = inbound.card
    if mimetype is not None and not card.any_format and not accepts(mimetype, card.mimetypes):
        raise await _refusal(stream, mimetype, card)
    charset = parameter(parameters, "charset") if parameters else None
    x = await read_raw(stream, inbound.spool, mimetype=mimetype, charset=charset)
    if not x.size:
        raise UnprocessableError(NO_DATA)
    return inbound.call(kind, x=x, answer=inbound.preferred_answer())


@functools.cache
def _warn_of_curl() -> None:
    """Log once what most probably sent an urlencoded form: the answer is DRUM's, and does not tell."""
    logger.warning(
        "Data came as %s and was refused with 422. That is the type that curl -d sends: use -F X=@FILE, or "
        "--data-binary @FILE -H 'Content-Type: text/csv'. This is reported once.",
        URLENCODED,
    )


async def _collect_form(inbound: Inbound, kind: CallKind, boundary: str) -> ModelCall:
    parts = await read_form(inbound.body(), inbound.spool, boundary, inbound.uploads)
    x, y = parts.get("X"), parts.get("y")
    if x is None:
        raise UnprocessableError(NO_DATA)
    if kind != "transform" or (y is not None and not y.size):  # an empty y counts as absent
        y = None
    return inbound.call(kind, x=x, y=y, colnames=parts.get("X.colnames"), answer=inbound.preferred_answer())


async def _refusal(stream: BodyStream, mimetype: str, card: ModelCard) -> RequestError:
    if not await stream.read():
        return UnprocessableError(NO_DATA)
    return unsupported_format(mimetype, card.mimetypes, card.columnar_problem)
