"""argparse's parser and help formatter for all commands: masked errors, "did you mean", layout of ``--help``."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from drum_litestar.settings.masking import masked


class Parser(argparse.ArgumentParser):
    """Parser that masks secrets where it quotes the command line, and knows its arguments.

    argparse offers no list of them, so this one keeps what its ``add_...`` methods return.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arguments: list[argparse.Action] = []
        """Options and positional arguments, in the order of ``--help``; those of groups included."""
        self.commands: dict[str, Parser] = {}
        """Sub-commands by name."""
        self.summaries: dict[str, str] = {}
        """What each of them is for, in a line."""
        super().__init__(*args, **kwargs)

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        action = super().add_argument(*args, **kwargs)
        self.arguments.append(action)
        return action

    def add_argument_group(self, *args: Any, **kwargs: Any) -> Any:
        return _Group(super().add_argument_group(*args, **kwargs), self.arguments)

    def add_mutually_exclusive_group(self, **kwargs: Any) -> Any:
        return _Group(super().add_mutually_exclusive_group(**kwargs), self.arguments)

    def add_subparsers(self, **kwargs: Any) -> Any:
        return _Commands(super().add_subparsers(**kwargs), self)

    @property
    def options(self) -> list[str]:
        """All spellings of all options."""
        return [spelling for action in self.arguments for spelling in action.option_strings]

    def error(self, message: str) -> NoReturn:
        super().error(masked(message))

    def refuse_unknown(self, words: Sequence[str]) -> None:
        """Exit with an error that names the first unknown option or sub-command of ``words`` and the likeliest known
        one.

        argparse itself would first miss what is required, and then list all that it does not know.
        """
        known = self.options
        if self.commands and words and not words[0].startswith("-") and words[0] not in self.commands:
            all_names = f"{self.prog} --help lists the commands"
            self.error(f"unknown command '{words[0]}'{self._hint(words[0], self.commands, all_names)}")
        for index, word in enumerate(words):
            if word == "--":
                return
            if word in self.commands:
                self.commands[word].refuse_unknown(words[index + 1 :])
                return
            name, _, value = word.partition("=")
            if name.startswith("--") and " " not in name and not any(each.startswith(name) for each in known):
                if name == "--port" and "--address" in known:  # what most servers call it
                    port = value or "".join(words[index + 1 : index + 2])
                    port = port if port.isdigit() else "PORT"
                    self.error(f"unknown option --port; did you mean --address HOST:{port}?")
                self.error(f"unknown option {name}{self._hint(name, known, f'{self.prog} --help lists the options')}")

    @staticmethod
    def _hint(word: str, known: Iterable[str], otherwise: str) -> str:
        names = {each.lstrip("-"): each for each in known}  # dashes would make all options alike
        close = get_close_matches(word.lstrip("-"), names, n=1)
        return f"; did you mean {names[close[0]]}?" if close else f"; {otherwise}"


class _Group:
    """A group of a parser that adds to the parser's list, too."""

    def __init__(self, group: Any, arguments: list[argparse.Action]) -> None:
        self._group = group
        self._arguments = arguments

    def add_argument(self, *args: Any, **kwargs: Any) -> argparse.Action:
        action: argparse.Action = self._group.add_argument(*args, **kwargs)
        self._arguments.append(action)
        return action

    def add_mutually_exclusive_group(self, **kwargs: Any) -> _Group:
        return _Group(self._group.add_mutually_exclusive_group(**kwargs), self._arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._group, name)  # what argparse does with a group of its own


class _Commands:
    """The sub-commands of a parser, which keeps each in its list, too."""

    def __init__(self, action: Any, parser: Parser) -> None:
        self._action = action
        self._parser = parser

    def add_parser(self, name: str, **kwargs: Any) -> Parser:
        parser: Parser = self._action.add_parser(name, **kwargs)
        self._parser.commands[name] = parser
        self._parser.summaries[name] = kwargs.get("help", "")
        return parser


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formatter that keeps descriptions unchanged and does not break file or option names at hyphens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_help_position", 32)
        super().__init__(*args, **kwargs)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
