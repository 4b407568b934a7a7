"""The generated part of docs/routes.md: the table of routes.

``python scripts/routes_page.py --write`` writes it; without ``--write`` it is printed. A test compares it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from page_parts import markdown_table, replace_part

from drum_litestar.http.app_options import AppOptions
from drum_litestar.http.openapi.operation import Content, Subject
from drum_litestar.media_types import COLUMNAR
from drum_litestar.predictors.protocol import SPARSE_TYPE, STRUCTURED_TYPES, ModelCard, TargetType
from drum_litestar.protocols.all_routes import ALL_ROUTES
from drum_litestar.route_table import REST, Route

PAGE = Path(__file__).resolve().parents[1] / "docs" / "routes.md"
SCRIPT = "scripts/routes_page.py"
PART = "routes"

EVERYTHING = Subject(
    ModelCard(target_type=TargetType.REGRESSION, mimetypes=(*STRUCTURED_TYPES, SPARSE_TYPE, *COLUMNAR)),
    AppOptions(drum_version="", server_version=""),
)
"""A model that takes every media type."""


def main() -> None:
    parser = argparse.ArgumentParser(prog=SCRIPT, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    if parser.parse_args().write:
        PAGE.write_text(replace_part(PAGE.read_text(), SCRIPT, PART, routes()))
    else:
        print(routes())


def routes() -> str:
    """A row for each route that is documented."""
    head = ["paths", "methods", "what", "takes", "answers", "calls the model", "never refused", "span"]
    return markdown_table(head, [_row(route) for route in ALL_ROUTES if route.summary is not None])


def _row(route: Route) -> list[str]:
    refused = {"probe": "as a probe", "operator": "as an operator's route"}.get(route.access, "")
    return [
        "<br>".join(f"`{_shown(path)}`" for path in route.paths),
        ", ".join(route.methods),
        route.summary or "",
        _shown_types(route.operation.body),
        _shown_types(route.operation.answer),
        ("yes" if "POST" in route.methods else "if it can be asked") if route.calls_model else "",
        refused,
        f"`{route.span}`" if route.span else "",
    ]


def _shown_types(content: Callable[[Subject], Content] | None) -> str:
    return "" if content is None else "<br>".join(f"`{media_type}`" for media_type in content(EVERYTHING))


def _shown(path: str) -> str:
    return path.replace(REST, "…").replace(":str}", "}")


if __name__ == "__main__":
    main()
