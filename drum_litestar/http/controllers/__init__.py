"""Controllers, one file per family of routes. An endpoint runs the checks that need no model, then delegates."""
