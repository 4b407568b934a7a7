"""Real stacks of packages that this server must work beside, run as ``scripts/matrix --stacks [NAME ...]``.

Each stack gets a virtual environment, made by pip alone: its packages, datarobot-drum, and this checkout's wheel. In it
``drum server`` and ``drum-litestar server`` serve a model whose ``custom.py`` takes its answers from the stack's own
library. A row is ``ok`` when both answer DRUM's bytes, to a CSV body and to an uploaded form. A stack that cannot be
installed is shown with pip's reason. Exit code 0 only when every stack is ok.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from email import message_from_bytes
from pathlib import Path

from environment_matrix import (
    ROOT,
    ROWS,
    CellError,
    NotInstallableError,
    build_wheel,
    clean_environment,
    drum_alone,
    find_python,
    pip,
    predict,
    serving,
)

FOLDERS = ROOT / "tests" / "support" / "folders"
DRUM = "datarobot-drum==1.18.1"
COMMANDS = ("drum", "drum-litestar")
USED = "custom.py uses "
BOUNDARY = "rows-of-a-form"
FORM = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="X"; filename="rows.csv"\r\nContent-Type: text/csv\r\n\r\n'
).encode() + (ROWS + f"\r\n--{BOUNDARY}--\r\n".encode())


@dataclass(frozen=True)
class Stack:
    name: str
    python: str
    requirements: tuple[str, ...]
    folder: str
    """The model folder below ``tests/support/folders``."""
    shows: tuple[str, ...] = ()
    """Names with versions, or their beginnings, that ``custom.py`` must report to use."""
    floors: bool = False
    """Every core dependency in the oldest version that pyproject.toml allows."""


STACKS = (
    Stack(
        "fastapi",
        "3.11",
        ("fastapi==0.99.1", "python-multipart==0.0.6", "pydantic==1.10.13", "anyio==3.7.1", "starlette==0.27.0"),
        "stack_fastapi",
        ("fastapi 0.99.1", "pydantic 1.10.13", "python-multipart 0.0.6"),
    ),
    Stack(
        "langchain",
        "3.10",
        ("langchain==0.0.350", "pydantic<2"),
        "stack_langchain",
        ("langchain 0.0.350", "pydantic 1."),
    ),
    Stack("mlflow", "3.10", ("mlflow==2.8.*", "pydantic<2"), "stack_mlflow", ("mlflow 2.8.", "pydantic 1.")),
    Stack("ray", "3.10", ("ray[serve]==2.7.*", "pydantic<2"), "stack_ray", ("ray 2.7.", "pydantic 1.")),
    # pandas before 2.2.2 was built for numpy 1, and its metadata do not say so
    Stack("oldest", "3.10", ("numpy<2",), "stack_core", floors=True),
    Stack("newest", "3.13", (), "stack_core"),
)


@dataclass
class Result:
    stack: Stack
    outcome: str
    """``ok``, ``FAILED``, or ``not installable``."""
    detail: str = ""
    """What was served, or the reason of the failure."""
    used: str = ""
    """The versions that ``custom.py`` reports."""
    drum_alone: str = ""
    """DRUM's output in this environment without the hook."""


def main() -> int:
    args = parse_arguments()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="drum-litestar-stacks-") as home:
        wheel = functools.cache(lambda: build_wheel(Path(home)))
        for stack in STACKS:
            if not args.stacks or stack.name in args.stacks:
                results.append(run(stack, Path(home), wheel))
                print(f"{stack.name}: {results[-1].outcome} {results[-1].detail}", file=sys.stderr, flush=True)
    print(json.dumps([asdict(result) for result in results], indent=2) if args.json else table(results))
    return 0 if all(result.outcome == "ok" for result in results) else 1


def parse_arguments() -> argparse.Namespace:
    names = [stack.name for stack in STACKS]
    parser = argparse.ArgumentParser(prog="scripts/matrix --stacks", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("stacks", nargs="*", metavar="NAME", help=f"only these of: {', '.join(names)}")
    parser.add_argument("--json", action="store_true", help="as JSON instead of a Markdown table")
    args = parser.parse_args()
    for name in args.stacks:
        if name not in names:
            parser.error(f"there is no stack {name!r}; the stacks are {', '.join(names)}")
    return args


def run(stack: Stack, home: Path, wheel: Callable[[], Path]) -> Result:
    """Make the environment, serve in it, and remove it."""
    environment = home / stack.name
    try:
        install(stack, environment, wheel())
        return serve(stack, environment, clean_environment())
    except NotInstallableError as error:
        return Result(stack, "not installable", str(error))
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def install(stack: Stack, environment: Path, wheel: Path) -> None:
    """Install the stack, DRUM last, so that pip need not resolve everything at once. Raises NotInstallableError."""
    subprocess.run([find_python(stack.python), "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    constraints: list[str] = []
    if stack.floors:
        listed = environment / "floors.txt"
        listed.write_text("".join(f"{line}\n" for line in floors(wheel)))
        constraints = ["--constraint", str(listed)]
    for packages in ((*stack.requirements, str(wheel)), (*stack.requirements, DRUM)):
        pip(python, "install", "--prefer-binary", "--no-compile", *constraints, *packages)


def floors(wheel: Path) -> list[str]:
    """The oldest version of each core dependency that the wheel's metadata allow, as constraints for pip.

    Raises ValueError for a dependency without such a version.
    """
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        requirements = message_from_bytes(archive.read(path)).get_all("Requires-Dist") or []
    found = []
    for requirement in requirements:
        specifier, semicolon, marker = requirement.partition(";")
        if re.search(r"\bextra\b", marker):
            continue
        name = re.match(r"[\w.-]+", specifier)
        floor = re.search(r">=\s*([\w.]+)", specifier)
        if name is None or floor is None:
            raise ValueError(f"pyproject.toml names no oldest version for {requirement!r}")
        found.append(f"{name[0]}=={floor[1]}{semicolon}{marker}")
    return found


def serve(stack: Stack, environment: Path, env: Mapping[str, str]) -> Result:
    """Results of both commands in a ready environment."""
    alone = drum_alone(environment, env)
    used, ready = "", []
    for command in COMMANDS:
        try:
            with serving(environment, command, FOLDERS / stack.folder, env) as server:
                predict(server.port, "text/csv", ROWS)
                predict(server.port, f"multipart/form-data; boundary={BOUNDARY}", FORM)
            used = server.output.partition(USED)[2].partition("\n")[0].strip()
            missing = [words for words in stack.shows if words not in used]
            if missing or not used:
                raise CellError(f"custom.py uses {used or 'nothing that it names'}, not {', '.join(missing)}")
        except CellError as error:
            return Result(stack, "FAILED", f"`{command} server`: {error}", used, alone)
        ready.append(f"`{command} server` ready in {server.seconds:.1f} s")
    return Result(stack, "ok", ", ".join(ready), used, alone)


def table(results: Sequence[Result]) -> str:
    lines = [
        "| stack | Python | requirements | DRUM alone | drum-litestar | served | used by custom.py |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        stack = result.stack
        requirements = " ".join(stack.requirements)
        if stack.floors:
            requirements = f"every core dependency's floor, {requirements}"
        words = (
            stack.name,
            stack.python,
            requirements or "the newest that DRUM allows",
            result.drum_alone or "-",
            result.outcome,
            result.detail,
            result.used,
        )
        lines.append("| " + " | ".join(word.replace("|", "\\|").replace("\n", " ") for word in words) + " |")
    good = sum(result.outcome == "ok" for result in results)
    return "\n".join([*lines, "", f"{good} of {len(results)} stacks ok"])


if __name__ == "__main__":
    sys.exit(main())
