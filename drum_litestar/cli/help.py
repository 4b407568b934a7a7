"""What the command line says about itself: the layout of ``--help``, and errors."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any, NoReturn

from drum_litestar.settings.masking import masked


class Parser(argparse.ArgumentParser):
    """Shows no secrets when it quotes the command line."""

    def error(self, message: str) -> NoReturn:
        super().error(masked(message))


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps descriptions as written, and never breaks a file or option name at its hyphen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_help_position", 32)
        super().__init__(*args, **kwargs)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
