"""The options of the package's commands, as their parsers declare them."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from drum_litestar.cli.main import Command


def all_options(command: Command) -> list[str]:
    """Every option of ``command``, in all its spellings."""
    root = argparse.ArgumentParser()
    subparsers: Any = root.add_subparsers()
    import_module(command.module).add_parser(subparsers)
    found: list[str] = []

    class Collect(argparse.HelpFormatter):
        def add_argument(self, action: argparse.Action) -> None:
            found.extend(action.option_strings)
            super().add_argument(action)

    parser = subparsers.choices[command.name]
    parser.formatter_class = Collect
    parser.format_help()
    return found
