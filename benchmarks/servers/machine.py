"""The machine of the measurements: description, and CPU affinity of servers and load generator."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.servers.environments import ROOT, cache_dir


def describe() -> dict[str, str]:
    """CPU, cores, memory, kernel, Python, and the distribution of the cores."""
    return {
        "CPU": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "load before the run": f"{os.getloadavg()[0]:.2f}",
        "cores of the load generator": _words(),
    }


def split() -> tuple[list[int], list[int]]:
    """Cores of the servers, and of the load generator: the last one is the generator's when there are more than two
    (and ``taskset`` to say so), else they share all."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) <= 2 or shutil.which("taskset") is None:
        return cores, cores
    return cores[:-1], cores[-1:]


def pin() -> list[str]:
    """Keep this process, and so its load generators, on their cores; the words before a command that keep it on the
    others."""
    servers, generator = split()
    if servers == generator:
        return []
    os.sched_setaffinity(0, generator)
    return ["taskset", "-c", ",".join(map(str, servers))]


def read_ahead(folder: Path) -> None:
    """Have the kernel keep the files, so that no server's start depends on who read them before."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file, Path(os.devnull).open("wb") as nothing:
                shutil.copyfileobj(file, nothing, 2**20)


def touch_memory(size: int) -> None:
    """Use ``size`` bytes for a moment in a process of its own. The host of a virtual machine takes longer to provide
    pages that nobody has used for a while: without this, a start would depend on what ran before it."""
    subprocess.run([sys.executable, "-c", f"used = b'x' * {size}"], check=True)


def neutral(text: str, drum: Path | None = None) -> str:
    """``text`` without paths of this machine; ``drum``: a command in an environment of its own."""
    places = [(cache_dir(), "$CACHE"), (ROOT, "."), (Path(sys.prefix), "$VENV")]
    places += [(drum.parents[1], "$DRUM")] if drum else []
    for place, name in (*places, (Path(tempfile.gettempdir()), "$TMP"), (Path.home(), "~")):
        text = re.sub(rf"(?<![\w.]){re.escape(str(place))}(?![\w.-])", name, text)
    return text


def _words() -> str:
    servers, generator = split()
    if servers == generator:
        return "none of its own: with two cores (or without taskset) it shares all of them with the server"
    return f"core {generator[0]}, the servers have the others"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
