"""The builders of images that this machine may have: docker, podman, buildah."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from drum_litestar.errors import StartupError

BUILDERS = ("docker", "podman", "buildah")
"""In the order in which they are tried."""

_KEEPS_HEALTHCHECK = {"podman": ("--format", "docker"), "buildah": ("--format", "docker")}
"""The other format of images, which these write by default, has no health check."""
_PROBE = "version"
"""Asks docker's engine, too. `info` of the others waits for builds that are going on."""
_PROBE_SECONDS = 30
_LAST_LINES = 15


class Image(NamedTuple):
    """What to build."""

    tag: str
    target: str
    arguments: Mapping[str, str]
    """The Containerfile's."""
    options: Sequence[str] = ()
    """Further options of the builder's own."""


def build_command(builder: str, image: Image, context: Path) -> list[str]:
    """The command that builds ``image`` from ``context``."""
    command = [builder, "build", *_KEEPS_HEALTHCHECK.get(builder, ()), "--target", image.target, "--tag", image.tag]
    for name, value in image.arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    return [*command, *image.options, "--file", str(context / "Containerfile"), str(context)]


def find_builder(wanted: str | None) -> str:
    """The first of :data:`BUILDERS`, or ``wanted`` itself, that works. Raises StartupError with what each lacks."""
    problems = []
    for builder in BUILDERS if wanted is None else (wanted,):
        problem = _problem(builder)
        if problem is None:
            return builder
        problems.append(f"{builder} {problem}")
    raise StartupError(
        f"no builder of images works here: {'; '.join(problems)}. Write the build context with --context-only DIR, and "
        "build it where there is one"
    )


def _problem(builder: str) -> str | None:
    if shutil.which(builder) is None:
        return "is not installed"
    try:
        done = subprocess.run([builder, _PROBE], capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"has not answered after {_PROBE_SECONDS} s"
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"does not work: {lines[-1]}"


def run_builder(builder: str, image: Image, context: Path) -> None:
    """Build; what the builder says goes to standard error. Raises StartupError with its last lines when it fails."""
    command = build_command(builder, image, context)
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DOCKER_BUILDKIT": "1"},  # the old builder of docker knows no mounts
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
            if line.strip():
                last.append(line.rstrip())
    if process.returncode != 0:
        raise StartupError(
            f"{builder} has not built {image.tag}: exit code {process.returncode}. Its last lines:\n  "
            + "\n  ".join(last)
        )
