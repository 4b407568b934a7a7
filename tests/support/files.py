"""Files that another process polls."""

from __future__ import annotations

from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in one step: a reader sees the old text or the new one, never an empty file."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)
