"""argparse's parser and help formatter for all commands: masked errors, layout of ``--help``."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any, NoReturn

from drum_litestar.settings.masking import masked


class Parser(argparse.ArgumentParser):
    """Parser that masks secrets where it quotes the command line."""

    def error(self, message: str) -> NoReturn:
        super().error(masked(message))


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formatter that keeps descriptions unchanged and does not break file or option names at hyphens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_help_position", 32)
        super().__init__(*args, **kwargs)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
