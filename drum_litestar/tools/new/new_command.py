"""``drum-litestar new model``: makes a model folder that serves as it is."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from drum_litestar.cli.argument_parser import HelpFormatter
from drum_litestar.cli.argument_types import Choice
from drum_litestar.errors import UsageError
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.tools.new.folder_texts import commands, files
from drum_litestar.tools.new.hook_texts import custom_py

DESCRIPTION = """\
Make something new: `model` is the only thing there is.
"""

MODEL_DESCRIPTION = """\
Make a model folder that serves as it is: custom.py whose comments say when each hook is called and what it must return,
a small model, model-metadata.yaml, requirements.txt, rows to try it with and a README. Change it from there.
"""

EPILOG = """\
examples:
  a regression model, served
    drum-litestar new model ./prices --target-type regression
    drum-litestar server --code-dir ./prices --address 127.0.0.1:8080

  a text generation model that chats, with hooks that are async def
    drum-litestar new model ./assistant --target-type textgeneration --async
"""


def add_parser(subparsers: Any) -> None:
    """Add ``new`` to the sub-commands."""
    parser = subparsers.add_parser("new", description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    things = parser.add_subparsers(metavar="model", dest="thing", required=True, title="what")
    model = things.add_parser(
        "model",
        help="a model folder",
        usage="%(prog)s FOLDER --target-type TYPE [--async] [--name NAME]",
        description=MODEL_DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    types = [target.value for target in TargetType]
    model.add_argument("folder", metavar="FOLDER", type=Path, help="where to make it: a new or an empty folder")
    model.add_argument(
        "--target-type",
        metavar="TYPE",
        type=Choice(*types),
        required=True,
        help=f"what the model predicts; one of {', '.join(types)}",
    )
    model.add_argument(
        "--async",
        dest="asynchronous",
        action="store_true",
        help="hooks as async def: for models that wait for services; DataRobot's own DRUM cannot serve them",
    )
    model.add_argument("--name", metavar="NAME", help="the model's name (default: the folder's)")


def run(args: argparse.Namespace) -> int:
    """Make the folder and print the lines that run it. Raises UsageError."""
    folder, target_type = args.folder, TargetType(args.target_type)
    name = args.name or folder.resolve().name
    if not name.isprintable():
        raise UsageError("--name: the name has characters that cannot be printed")
    made = {"custom.py": custom_py(target_type, asynchronous=args.asynchronous)}
    made.update(files(target_type, name, asynchronous=args.asynchronous))
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: name a new folder, or an empty one")
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in made.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}") from error
    lines = commands(target_type, shlex.quote(str(folder)))
    print(f"Made {folder}: {', '.join(made)}\n\nServe it, and ask it from another terminal:\n  {lines.server}")
    print("\n".join(f"  {line}" for line in lines.requests))
    print(f"\nScore a file without a server:\n  {lines.predict}")
    print(f"\nWhat each hook is for: {folder / 'custom.py'}")
    return 0
