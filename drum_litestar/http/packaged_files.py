"""Files of the package as routes: pages, scripts and styles that a browser loads from this server and nowhere else.

Each file is a row of the table of routes. So a request finds it in one look-up of a dictionary, and a path that is no
file's is in no row: no name of a request is ever joined to a folder.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final

from drum_litestar.http.app_options import AnyRequest, AnyResponse
from drum_litestar.http.replies import BytesResponse
from drum_litestar.http.service import ModelService
from drum_litestar.route_table import Route

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
"""By the suffix of the file; other files cannot be served."""

INDEX: Final = "index.html"


def file_routes(folder: Path, *, at: str, policy: str) -> tuple[Route, ...]:
    """A route for each file in ``folder`` and the folders in it.

    ``at`` is the path of ``folder``, with a slash at its begin and none at its end; ``index.html`` has the path of the
    folder that it is in. ``policy`` is the Content-Security-Policy of all. The files open without token, since a
    browser sends none when a person types an address: a page asks for it, and sends it with its own requests. Raises
    KeyError for a suffix without content type.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple(
        Route(
            paths=(f"{at}/{path.relative_to(folder).as_posix()}".removesuffix(f"/{INDEX}"),),
            answer=PackagedFile(path, policy),
            access="public",
        )
        for path in files
    )


class PackagedFile:
    """One file as an endpoint. It is read at its first request, and kept."""

    __name__ = "packaged_file"

    def __init__(self, path: Path, policy: str) -> None:
        """Raises KeyError for a suffix without content type."""
        self._path = path
        self._content_type = CONTENT_TYPES[path.suffix]
        self._policy = policy

    async def __call__(self, _: ModelService, request: AnyRequest) -> AnyResponse:
        """The file, or 304 if the client has it; of an index, whose links are relative, 307 to the path with a slash
        at its end."""
        path = request.scope["raw_path"].decode("latin-1")  # Litestar takes the slash off the other one
        if self._path.name == INDEX and not path.endswith("/"):
            location = f"{path.rpartition('/')[2]}/"  # relative, for a proxy that takes a prefix off
            return BytesResponse(b"", status=307, content_type=None, pairs=(("location", location),))
        body, tag = self._content
        pairs = (("etag", tag), ("cache-control", "no-cache"), ("content-security-policy", self._policy))
        if _has(request.headers.get("if-none-match", ""), tag):
            return BytesResponse(b"", status=304, content_type=None, pairs=pairs)
        return BytesResponse(body, content_type=self._content_type, pairs=pairs)

    @cached_property
    def _content(self) -> tuple[bytes, str]:
        body = self._path.read_bytes()
        return body, f'"{blake2b(body, digest_size=12).hexdigest()}"'


def _has(if_none_match: str, tag: str) -> bool:
    """Whether one of the tags of the header is ``tag``, compared weakly, as RFC 9110 asks for it."""
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in if_none_match.split(","))
