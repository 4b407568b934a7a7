"""``drum-litestar build``: an image with a model folder and this server."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from drum_litestar import __version__
from drum_litestar.cli.argument_parser import HelpFormatter
from drum_litestar.errors import UsageError
from drum_litestar.predictors.folder.metadata import METADATA_FILE
from drum_litestar.settings.masking import masked
from drum_litestar.tools.image.build_context import Parts, write_context
from drum_litestar.tools.image.image_builders import BUILDERS, Image, build_command, find_builder, run_builder
from drum_litestar.tools.image.image_checks import (
    DISTRIBUTION,
    check_folder,
    check_requirements,
    check_tag,
    wheel_version,
)
from drum_litestar.tools.image.own_wheel import own_wheel

REQUIREMENTS = "requirements.txt"

DESCRIPTION = """\
Build an image of a model folder and this server, with the builder that is installed: docker, podman or buildah.
A requirements.txt in the folder is installed into an environment of the model's own, apart from the server's. The
server runs as user 10001 on port 8080, writes to /var/spool/drum only, and is asked by a health check.
"""

EPILOG = """\
examples:
  build an image, and serve a regression model with it
    %(prog)s ./model --tag my-model:1
    docker run --rm --read-only -p 8080:8080 -e TARGET_TYPE=regression my-model:1

  a scikit-learn model without a requirements.txt, in the server's own environment
    %(prog)s ./model --tag my-model:1 --extras otel,sklearn

  write the build context only, to build it elsewhere
    %(prog)s ./model --tag my-model:1 --context-only ./context

  another package index: a configuration of pip's that does not stay in the image
    %(prog)s ./model --tag my-model:1 --builder-option=--secret=id=pip.conf,src=pip.conf
"""


def add_parser(subparsers: Any) -> None:
    """Add ``build`` to the sub-commands."""
    parser = subparsers.add_parser("build", description=DESCRIPTION, epilog=EPILOG, formatter_class=HelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the model folder; hidden files are left out")
    parser.add_argument("--tag", required=True, metavar="NAME", help="the image's name: [host[:port]/]name[:version]")
    parser.add_argument(
        "--requirements",
        type=Path,
        metavar="FILE",
        help=f"the model's requirements (default: {REQUIREMENTS} in FOLDER, if it is there)",
    )
    parser.add_argument(
        "--extras",
        default="otel",
        metavar="NAMES",
        help=f"extras of {DISTRIBUTION} in the server's environment, with commas between them (default: %(default)s)",
    )
    parser.add_argument("--base", metavar="IMAGE", help="image to build on (default: the official slim one of Python)")
    parser.add_argument(
        "--python",
        default=f"{sys.version_info[0]}.{sys.version_info[1]}",
        metavar="VERSION",
        help="Python's version, which --base must have (default: this one's, %(default)s)",
    )
    parser.add_argument(
        "--wheel",
        type=Path,
        metavar="FILE",
        help=f"a wheel of {DISTRIBUTION} to install (default: version {__version__} from the package index, or a wheel "
        "of the source that this one was installed from)",
    )
    parser.add_argument("--builder", choices=BUILDERS, help="default: the first of these that works")
    parser.add_argument(
        "--builder-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="an option of the builder's own, such as --builder-option=--network=host; may be repeated",
    )
    parser.add_argument(
        "--context-only", type=Path, metavar="DIR", help="write the build context to DIR and say how to build it"
    )


def run(args: argparse.Namespace) -> int:
    """Build, or write the context. Raises StartupError, before anything is built if it can be known."""
    check_tag(args.tag)
    requirements = _requirements(args)
    check_folder(args.folder, own_requirements=requirements is not None)
    if requirements is not None:
        check_requirements(requirements)
    arguments = _build_arguments(args)
    builder = find_builder(args.builder) if args.context_only is None else args.builder
    with tempfile.TemporaryDirectory(prefix="drum-litestar-build-") as scratch:
        wheel = args.wheel or own_wheel(metadata.distribution(DISTRIBUTION), Path(scratch))
        arguments["VERSION"] = __version__ if wheel is None else wheel_version(wheel)
        parts = Parts(args.folder, requirements, wheel)
        image = Image(args.tag, parts.target, arguments, args.builder_option)
        if args.context_only is not None:
            _write(parts, args.context_only)
            print("Build it with one of:")
            for each in BUILDERS if builder is None else (builder,):
                print(f"  {masked(shlex.join(build_command(each, image, args.context_only)))}")
        else:
            context = Path(scratch) / "context"
            _write(parts, context)
            run_builder(builder, image, context)
            print(f"Built {args.tag} with {builder}.")
    print(f"Serve with it:\n  {_serve_command(args, builder)}")
    return 0


def _write(parts: Parts, context: Path) -> None:
    left_out = write_context(parts, context)
    if left_out:
        print(f"Not in the image: {', '.join(left_out)}", file=sys.stderr)


def _requirements(args: argparse.Namespace) -> Path | None:
    if args.requirements is not None:
        path: Path = args.requirements
        return path
    path = args.folder / REQUIREMENTS
    return path if path.exists() else None


def _build_arguments(args: argparse.Namespace) -> dict[str, str]:
    """The Containerfile's arguments. Raises UsageError for one that cannot be used."""
    if not re.fullmatch(r"3\.\d+", args.python):
        raise UsageError(f"--python {args.python!r} is no version of Python (allowed: such as 3.12)")
    extras = [name.strip() for name in args.extras.split(",") if name.strip()]
    known = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    unknown = sorted(set(extras).difference(known))
    if unknown:
        raise UsageError(f"--extras: {DISTRIBUTION} has no extra {', '.join(unknown)} (allowed: {', '.join(known)})")
    if args.wheel is not None:
        wheel_version(args.wheel)
    arguments = {"PYTHON": args.python, "EXTRAS": ",".join(extras)}
    if args.base is not None:
        arguments["BASE"] = args.base
    return arguments


def _serve_command(args: argparse.Namespace, builder: str | None) -> str:
    runner = "podman" if builder in ("podman", "buildah") else "docker"  # buildah's images are podman's
    target = "" if (args.folder / METADATA_FILE).exists() else "-e TARGET_TYPE=... "
    return f"{runner} run --rm --read-only -p 8080:8080 {target}{args.tag}"
