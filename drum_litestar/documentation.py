"""Links to the documentation, for messages. A wheel has no ``docs``, so they are URLs into the repository."""

from __future__ import annotations

from typing import Final

REPOSITORY: Final = "https://github.com/drum-litestar/drum-litestar"
"""As in ``[project.urls]``."""

_PAGES: Final = f"{REPOSITORY}/blob/main/docs"

MIGRATING: Final = f"{_PAGES}/migrating-extensions.md"
"""From ``custom_flask.py`` and ``custom_fastapi.py`` to ``custom_litestar.py``."""
SWITCHING: Final = f"{_PAGES}/switching.md"
"""From DRUM's server to this one, and back."""
CALLS_AT_ONCE: Final = f"{_PAGES}/operating.md#calls-at-once"
"""When calls of one worker overlap, and how to let them."""
RAY: Final = f"{_PAGES}/ray.md"
"""This server inside Ray Serve."""
