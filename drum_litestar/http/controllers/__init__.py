"""One file per family of routes. Endpoints check what needs no model, then delegate."""
