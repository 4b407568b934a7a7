"""MkDocs' hook: links of pages to files outside ``docs/`` lead to the repository; images come along.

The pages are read in a checkout and on GitHub as well, where ``../README.md`` is right.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from drum_litestar.documentation import REPOSITORY  # noqa: E402 - MkDocs does not have the checkout on its path

_OUTSIDE = re.compile(
    r"(?P<image>!?)(?P<text>\[(?:[^\[\]]|\[[^\]]*\])*\])\(\.\./(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)"
)
"""A link or an image outside ``docs/``."""


def on_files(files: Any, config: Any) -> Any:
    """Add the images outside ``docs/`` that pages show, as ``images/<file name>``."""
    for page in files.documentation_pages():
        for link in _OUTSIDE.finditer(page.content_string):
            name = _image(link)
            if link["image"] and files.get_file_from_path(name) is None:
                files.append(File.generated(config, name, abs_src_path=str(ROOT / link["path"])))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links to ``../FILE`` into links to the repository, and images into those of :func:`on_files`."""

    def replacement(link: re.Match[str]) -> str:
        if link["image"]:
            return f"!{link['text']}({_image(link)})"
        return f"{link['text']}({REPOSITORY}/blob/main/{link['path']}{link['anchor'] or ''})"

    return _OUTSIDE.sub(replacement, markdown)


def _image(link: re.Match[str]) -> str:
    return f"images/{posixpath.basename(link['path'])}"
