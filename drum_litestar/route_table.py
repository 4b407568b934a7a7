"""Routes as data: what the server's parts know of a route, and how a request finds its own.

The rows are in :mod:`drum_litestar.http.routes`. Litestar's handlers, the OpenAPI document, admission, refusals,
deadlines, spans and the page of routes are made from them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, NamedTuple

READ: Final = ("GET", "HEAD")
"""HEAD is accepted wherever GET is (contract, 3.1)."""

Access = Literal["probe", "operator", "public", "client"]
"""Who is never turned away. Probes pass without a token, beyond the limit of connections, and as the other routes of
operators do: without rate limit and deadline, because they are needed most when the server is overloaded. What is
public passes without a token, too: files of the package, which tell nothing of the model."""

_SLASHES: Final = re.compile("//+")
REST: Final = "{rest:path}"
_PARAMETER: Final = ":str}"
"""End of a segment that varies: ``{model:str}``."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route."""

    paths: tuple[str, ...]
    """All its paths, without ``URL_PREFIX``; each also answers with a slash at its end (contract, section 8). Segments
    may vary (``{model:str}``), and the last one may be :data:`REST`."""
    answer: Callable[[Any, Any], Awaitable[Any]]
    """The endpoint: ``(ModelService, Request)`` to the response. Its ``__name__`` is part of the operation's id."""
    methods: tuple[str, ...] = READ
    access: Access = "client"
    is_polled: bool = False
    """Orchestrators and monitoring ask it every few seconds, so that its lines may be left out of the access log."""
    calls_model: bool = False
    """A request needs a place among the calls of the model. A POST takes it before its body is read."""
    decodes: bool = False
    """A compressed body (``Content-Encoding``) is undone; elsewhere the endpoint gets it as it was sent."""
    error_key: str = "message"
    """Key of the text in the JSON of an error. With another one than DRUM's, it is the only key."""
    span: str | None = None
    """Name of the span of its requests (contract, 5.6); None: they are not traced."""
    summary: str | None = None
    """Of the operation in the OpenAPI document; None: the route is not in it."""
    tag: str = ""
    """Group of the operation."""


async def _no_answer(_: Any, __: Any) -> None:
    raise NotImplementedError


OTHER: Final = Route(paths=(), answer=_no_answer, methods=())
"""Stands for all that is in no table: routes of extensions, pages of the OpenAPI document, unknown paths."""


class Match(NamedTuple):
    """What the table finds for a path."""

    route: Route
    template: str | None = None
    """The whole path in its one spelling; None for :data:`OTHER` and for paths with a :data:`REST`."""
    values: tuple[str, ...] = ()
    """The segments that vary, in order."""


_NO_MATCH: Final = Match(OTHER)


def merged_slashes(path: str) -> str:
    """``path`` with repeated slashes as one, as Litestar sees it."""
    return _SLASHES.sub("/", path) if "//" in path else path


class RouteTable:
    """Finds the route of a path."""

    def __init__(self, routes: Iterable[Route] = (), url_prefix: str = "") -> None:
        """``url_prefix`` as :func:`drum_litestar.http.app_options.normalize_prefix` returns it."""
        self._matches: dict[str, Match] = {}
        self._varying: dict[tuple[int, tuple[int, ...]], dict[tuple[str, ...], Match]] = {}
        beginnings: list[tuple[str, Match]] = []
        for route in routes:
            for path in route.paths:
                if path.endswith(REST):
                    beginnings.append((url_prefix + path.removesuffix(REST), Match(route)))
                    continue
                # Spellings are built here, once: stripping slashes from the path of a request would leave nothing of
                # the root.
                bare = url_prefix + path.rstrip("/")
                if _PARAMETER in bare:
                    self._add_varying(route, bare)
                    continue
                match = Match(route, bare or "/")
                self._matches.update({spelling: match for spelling in (bare, f"{bare}/") if spelling})
        self._beginnings = tuple(beginnings)

    def _add_varying(self, route: Route, path: str) -> None:
        segments = path.split("/")
        places = tuple([place for place, segment in enumerate(segments) if segment.endswith(_PARAMETER)])
        fixed = self._varying.setdefault((len(segments), places), {})
        fixed[_without(segments, places)] = Match(route, path.replace(_PARAMETER, "}"))

    @property
    def paths(self) -> set[str]:
        """The paths in their one spelling, without those that have a :data:`REST`."""
        matches = chain(self._matches.values(), *(fixed.values() for fixed in self._varying.values()))
        return {match.template for match in matches if match.template is not None}

    def find(self, path: str) -> Match:
        """The route of ``path``; :data:`OTHER` if it has none. Repeated slashes count as one, as in Litestar."""
        found = self._matches.get(path)
        if found is not None:
            return found
        merged = merged_slashes(path)
        if merged != path:
            return self.find(merged)
        segments = path.rstrip("/").split("/")
        for (count, places), fixed in self._varying.items():
            if len(segments) == count and (match := fixed.get(_without(segments, places))) is not None:
                return match._replace(values=tuple([segments[place] for place in places]))
        for beginning, match in self._beginnings:
            if path.startswith(beginning) and path != beginning:
                return match
        return _NO_MATCH


def _without(segments: list[str], places: tuple[int, ...]) -> tuple[str, ...]:
    return tuple([segment for place, segment in enumerate(segments) if place not in places])
