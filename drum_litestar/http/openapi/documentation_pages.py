"""The pages that show the document: Swagger UI at ``/docs/``, Redoc at ``/docs/redoc/``. All they load is here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from drum_litestar.http.packaged_files import file_routes
from drum_litestar.route_table import Route

AT: Final = "/docs"
FOLDER: Final = Path(__file__).parent / "pages"

_OWN: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    "script-src 'self'; img-src 'self' data:"
)
SWAGGER_POLICY: Final = f"{_OWN}; style-src 'self'"
_REDOC_STYLES: Final = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)
"""An empty style element, whose rules Redoc then adds one by one, and the one that its script has whole."""
REDOC_POLICY: Final = f"{_OWN} blob:; style-src 'self' {_REDOC_STYLES}; worker-src blob:"
"""The search of Redoc runs in a worker, whose code is in its script."""


def documentation_pages() -> tuple[Route, ...]:
    """The routes of both pages and of what they load."""
    return (
        *file_routes(FOLDER / "swagger", at=AT, policy=SWAGGER_POLICY),
        *file_routes(FOLDER / "redoc", at=f"{AT}/redoc", policy=REDOC_POLICY),
    )
