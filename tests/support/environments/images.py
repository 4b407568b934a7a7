"""Images that are really built and run, where this machine can: buildah in a chroot, and podman with runc.

Nothing is pulled: the base is a small Debian made by debootstrap, kept in the cache with what was built on it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from support.servers.backends import ORACLE_CACHE, ROOT, console_script
from support.servers.process import ServerProcess

SUITE, PYTHON = "bookworm", "3.11"
BASE = f"localhost/debian-python:{SUITE}"
CARRIED = ("index-url", "default-timeout", "timeout", "proxy", "trusted-host", "cert")
"""What of pip's configuration here is needed in a build; paths on this machine are not there."""
RUN_OPTIONS = ("--network=host", "--ulimit=host")
"""For a machine without rights over networks and limits."""


class Images:
    """Storage of images of its own below ``home``, and what builds and runs in it."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        storage, containers = home / "storage.conf", home / "containers.conf"
        storage.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{home}/storage"\nrunroot = "{home}/run"\n', encoding="utf-8"
        )
        containers.write_text(
            '[containers]\ndefault_ulimits = []\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )
        self.env = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(containers),
            "BUILDAH_ISOLATION": "chroot",
        }

    def run(self, *command: str, timeout: float = 3000) -> subprocess.CompletedProcess[str]:
        """Run ``command`` to its end with this storage."""
        return subprocess.run(
            command,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def must(self, *command: str) -> str:
        """The output of ``command``, which must succeed."""
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout.strip()

    def ensure_base(self) -> None:
        """Make the base image, unless it is there."""
        if self.run("buildah", "inspect", "--type", "image", BASE).returncode == 0:
            return
        root = self.home / "base"
        shutil.rmtree(root, ignore_errors=True)
        packages = "--include=python3,python3-venv,ca-certificates"
        self.must("debootstrap", "--variant=minbase", packages, SUITE, str(root))
        for name in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / name)
            (root / name).mkdir()
        container = self.must("buildah", "from", "scratch")
        self.must("buildah", "add", "--quiet", container, str(root), "/")
        self.must("buildah", "commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)

    def pip_options(self) -> list[str]:
        """Options of a build that let pip reach its package index as it does here."""
        done = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
        )
        pairs = (line.partition("=") for line in done.stdout.splitlines())
        found = {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in pairs}
        conf = self.home / "pip.conf"
        conf.write_text("[global]\n" + "".join(f"{name} = {found[name]}\n" for name in CARRIED if name in found))
        options = [f"--secret=id=pip.conf,src={conf}"]
        if "cert" in found:
            folder = Path(found["cert"]).parent
            options.append(f"--volume={folder}:{folder}:ro")
        return options

    def build(self, folder: Path, tag: str, wheel: Path) -> subprocess.CompletedProcess[str]:
        """``drum-litestar build`` with buildah."""
        options = [f"--builder-option={option}" for option in ("--layers", *self.pip_options())]
        return self.run(
            *(console_script(), "build", str(folder), "--tag", tag, "--builder", "buildah", "--wheel", str(wheel)),
            *("--base", BASE, "--python", PYTHON, *options),
        )

    def size(self, tag: str) -> str:
        """The image's size with its base, as buildah writes it (``644 MB``)."""
        return self.must("buildah", "images", "--format", "{{.Size}}", tag)


def images() -> Images:
    """The storage in the cache, with its base. Skips where images cannot be built."""
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if os.getuid() != 0 or missing:
        pytest.skip(f"needs root and {' and '.join(missing or ['buildah'])}")
    found = Images(Path(os.environ.get(ORACLE_CACHE) or ROOT / ".cache") / "containers")
    found.ensure_base()
    return found


def build_wheel(folder: Path) -> Path:
    """This checkout's wheel."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def require_podman(made: Images) -> None:
    """Skip where podman cannot run a container with runc."""
    done = made.run("podman", "--runtime=runc", "run", "--rm", *RUN_OPTIONS, BASE, "true") if _podman() else None
    if done is None or done.returncode != 0:
        pytest.skip(f"podman and runc run no container here: {'' if done is None else done.stderr[-300:]}")


def _podman() -> bool:
    return shutil.which("podman") is not None and shutil.which("runc") is not None


def served_by(server: ServerProcess, words: Sequence[str]) -> psutil.Process:
    """The process below ``server`` whose command line has ``words``."""
    return next(
        each
        for each in psutil.Process(server.process.pid).children(recursive=True)
        if set(words) <= set(each.cmdline())
    )
