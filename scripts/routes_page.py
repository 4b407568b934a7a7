"""The generated part of docs/routes.md: the table of routes.

``python scripts/routes_page.py --write`` writes it; without ``--write`` it is printed. A test compares it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from page_parts import markdown_table, replace_part

from drum_litestar.protocols.all_routes import ALL_ROUTES
from drum_litestar.route_table import REST, Route

PAGE = Path(__file__).resolve().parents[1] / "docs" / "routes.md"
SCRIPT = "scripts/routes_page.py"
PART = "routes"


def main() -> None:
    parser = argparse.ArgumentParser(prog=SCRIPT, description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--write", action="store_true", help=f"write docs/{PAGE.name}")
    if parser.parse_args().write:
        PAGE.write_text(replace_part(PAGE.read_text(), SCRIPT, PART, routes()))
    else:
        print(routes())


def routes() -> str:
    """A row for each route that is documented."""
    head = ["paths", "methods", "what", "calls the model", "never refused", "span"]
    return markdown_table(head, [_row(route) for route in ALL_ROUTES if route.summary is not None])


def _row(route: Route) -> list[str]:
    refused = {"probe": "as a probe", "operator": "as an operator's route"}.get(route.access, "")
    return [
        "<br>".join(f"`{_shown(path)}`" for path in route.paths),
        ", ".join(route.methods),
        route.summary or "",
        ("yes" if "POST" in route.methods else "if it can be asked") if route.calls_model else "",
        refused,
        f"`{route.span}`" if route.span else "",
    ]


def _shown(path: str) -> str:
    return path.replace(REST, "…").replace(":str}", "}")


if __name__ == "__main__":
    main()
