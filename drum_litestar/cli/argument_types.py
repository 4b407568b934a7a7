"""Argument types of options, with DRUM's error texts (contract, 1.2)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from drum_litestar.predictors.folder.targets import read_labels_file
from drum_litestar.settings.address import parse_address

SHELLS = ("bash", "zsh", "fish")
"""The shells that have completion."""
OWN_SHELL = True
"""Stands for the user's own shell, where an option names none."""
TWO_LABELS = "Multiclass classification requires at least 2 labels."
BOTH_LABEL_SOURCES = (
    "\nError - for multiclass classification, either the class labels or a class labels file should be provided, "
    "but not both.\nSee --help option for more information"
)


class Choice:
    """An argument type for a choice, with DRUM's error text; argparse's own differs between Python versions."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, text: str) -> str:
        if text not in self.words:
            choices = ", ".join(map(repr, self.words))
            raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {choices})")
        return text


def _is(kind: Callable[[Path], bool], text: str) -> bool:
    try:
        return kind(Path(text))
    except OSError as error:  # a directory above it may not be entered
        raise argparse.ArgumentTypeError(f"The path {text} cannot be reached: {error.strerror}") from error


def directory(text: str) -> str:
    """An existing directory, as its real path."""
    if not _is(Path.is_dir, text):
        raise argparse.ArgumentTypeError(f"The path {text} is not a directory!")
    return str(Path(text).resolve())


def existing_file(text: str) -> str:
    """An existing file, unchanged."""
    if not _is(Path.is_file, text):
        raise argparse.ArgumentTypeError(f"The file {text} does not exist!")
    return text


def labels_file(text: str) -> list[str]:
    """Labels of a file, one per line, in order (contract, 1.5)."""
    try:
        labels = read_labels_file(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise argparse.ArgumentTypeError(f"cannot read the class labels file '{text}': {reason}") from error
    if len(labels) < 2:
        raise argparse.ArgumentTypeError(TWO_LABELS)
    return labels


def positive_number(text: str) -> int:
    """A whole number above 0."""
    try:
        number = int(text)
    except ValueError as error:
        # DRUM's text, which shows the name of a function in DRUM.
        raise argparse.ArgumentTypeError(f"invalid type_callback value: {text!r}") from error
    if number <= 0:
        raise argparse.ArgumentTypeError("must be > 0")
    return number


def listen_address(text: str) -> str:
    """A valid ``host[:port]``, unchanged."""
    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


class StoreLabels(argparse.Action):
    """Stores class labels from one of two options; both together are an error that names the first one."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        labels = list(values or ())
        if len(labels) < 2:
            raise argparse.ArgumentError(self, TWO_LABELS)
        first = getattr(namespace, "labels_option", None)
        if first not in (None, self.option_strings[0]):
            parser.error(f"argument {first}: {BOTH_LABEL_SOURCES}")
        namespace.labels_option = self.option_strings[0]
        setattr(namespace, self.dest, labels)
