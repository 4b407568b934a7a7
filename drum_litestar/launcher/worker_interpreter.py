"""The model workers' own interpreter (``DRUM_WORKER_PYTHON``): found, probed, and rejected in one line.

It is probed once, in a short-lived process that runs as the workers' user. Only the packages that every worker needs
are required; those of the model are not checked.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from packaging.specifiers import SpecifierSet

from drum_litestar.errors import ModelLoadError, SettingsError, StartupError
from drum_litestar.execution.pool.interpreter import bare_command, command, identity
from drum_litestar.launcher.packages import CHECKED_MODULES
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
from drum_litestar.settings.groups.serving import WorkerSettings

OLDEST: Final = (3, 8)
REQUIREMENTS: Final[Mapping[str, str]] = {"msgspec": ">=0.16", "pandas": ">=1.5", "numpy": ""}
"""Distributions that a worker imports whatever its model is, with the versions that it works with."""

ANSWER_TIMEOUT: Final = 60.0
"""Timeout of a probe in seconds: the interpreter may be on a slow network drive."""

_MARK: Final = "drum-litestar-worker-python:"

_REPORT: Final = f"""
import sys
def report(**facts):
    import json
    sys.stdout.write("\\n{_MARK}" + json.dumps(facts) + "\\n")
    sys.stdout.flush()
    sys.exit(0)
if sys.path[:1] == [""]: del sys.path[0]
"""
"""The mark separates the report from what the user's start-up files print."""

_PROBE: Final = """
version = list(sys.version_info[:3])
if sys.version_info < {oldest}:
    report(version=version)
import re
from importlib import metadata, util
packages, problem = {{}}, ""
for found in metadata.distributions():
    name, release = found.metadata["Name"], found.metadata["Version"]
    if name and release:
        packages.setdefault(re.sub("[-_.]+", "-", name).lower(), release)
try:
    import msgspec
except ImportError as error:
    problem = str(error)
modules = [name for name in {modules} if util.find_spec(name)]
report(version=version, packages=packages, problem=problem, modules=modules)
"""

_REVIEW: Final = """
import msgspec
from typing import Optional, Tuple
from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.native.review import review_model
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
spec, target_type = msgspec.json.decode(sys.stdin.buffer.read(), type=Tuple[PredictorSpec, Optional[TargetType]])
try:
    warnings = review_model(spec, target_type)
except ModelLoadError as error:
    report(error=str(error))
report(warnings=warnings)
"""


class WorkerPython(msgspec.Struct, frozen=True):
    """A probed interpreter: its version and packages. Implements :class:`drum_litestar.launcher.packages.Packages`."""

    executable: str
    version: tuple[int, int, int]
    packages: dict[str, str] = {}
    """Versions by normalized distribution name."""
    modules: tuple[str, ...] = ()
    """Members of ``CHECKED_MODULES`` that it finds."""
    problem: str = ""
    """Why the installed msgspec cannot be imported."""

    @property
    def pip(self) -> str:
        return f"{shlex.quote(self.executable)} -m pip"

    def version_of(self, distribution: str) -> str | None:
        return self.packages.get(distribution)

    def has_module(self, name: str) -> bool:
        return name in self.modules

    def missing(self) -> list[str]:
        """The workers' requirements that are absent or too old, as pip specifiers."""
        return [
            f"{name}{specifier}"
            for name, specifier in REQUIREMENTS.items()
            if (found := self.version_of(name)) is None
            or not SpecifierSet(specifier).contains(found, prereleases=True)
            or (name == "msgspec" and self.problem)
        ]

    def require(self) -> None:
        """Raises StartupError, one line with the exact command, unless workers can run there."""
        if self.version[:2] < OLDEST:
            raise StartupError(f"{subject_of(self.executable)} is Python {self.text_version}; 3.8 or later is needed")
        missing = self.missing()
        if missing:
            there = [f"{name} {found}" for name in REQUIREMENTS if (found := self.version_of(name)) is not None]
            detail = f"has {', '.join(there)}" if there else "has none of them"
            # pip would consider the requirement satisfied
            damaged = self.problem and self.version_of("msgspec") is not None
            detail += f"; msgspec cannot be imported: {self.problem}" if damaged else ""
            words = "--force-reinstall " if damaged else ""
            words += " ".join(f"'{text}'" if ">" in text else text for text in missing)
            raise StartupError(
                f"{subject_of(self.executable)}: model workers need {', '.join(missing)} there (Python "
                f"{self.text_version} {detail}). Install with: {self.pip} install {words}"
            )

    @property
    def text_version(self) -> str:
        return ".".join(map(str, self.version))


def subject_of(path: str) -> str:
    """The parameter and its value, as the start of a message."""
    return f"DRUM_WORKER_PYTHON='{path}'"


def find_interpreter(text: str) -> str:
    """Absolute path of the interpreter that ``text`` names: a file, a virtual environment's folder, or a command on the
    path.

    Links are not resolved, because the link's folder identifies a virtual environment. Raises SettingsError, one line.
    """
    if not text.strip():
        raise SettingsError(f"{subject_of(text)} names no interpreter")
    path = Path(text).expanduser()
    if not path.exists() and os.sep not in text:
        path = Path(shutil.which(text) or path)
    try:
        if path.is_dir():
            inside = [path / "bin" / name for name in ("python", "python3")]
            path = next((each for each in inside if each.exists()), inside[0])
            if not path.exists():
                raise SettingsError(f"{subject_of(text)} is a directory without an interpreter: it has no bin/python")
        if not path.exists():
            command = "" if os.sep in text else ", and no such command on the path"
            raise SettingsError(f"{subject_of(text)}: there is no such file{command}")
    except OSError as error:  # a directory above it may not be entered
        raise SettingsError(f"{subject_of(text)} cannot be reached: {error.strerror}") from error
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise SettingsError(f"{subject_of(text)} is not executable")
    return os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow the link


def probe_configured(workers: WorkerSettings) -> WorkerPython | None:
    """Probe the interpreter of ``DRUM_WORKER_PYTHON``; None without one. Raises StartupError, one line."""
    return None if workers.python is None else probe(find_interpreter(workers.python), user=workers.user)


def probe(executable: str, *, user: str | None = None, timeout: float = ANSWER_TIMEOUT) -> WorkerPython:
    """Probe ``executable`` as ``user``. Raises StartupError, one line, on failure or after ``timeout`` seconds."""
    code = _PROBE.format(oldest=OLDEST, modules=CHECKED_MODULES)
    answer = _run(bare_command(executable, _REPORT + code), executable, user=user, timeout=timeout)
    return msgspec.convert({"executable": executable, **answer}, WorkerPython)


def review_in_workers_python(python: WorkerPython, spec: PredictorSpec, target_type: TargetType | None) -> list[str]:
    """Run :func:`~drum_litestar.predictors.native.review.review_model` in the interpreter of the workers.

    Raises ModelLoadError, and StartupError as :func:`probe` does.
    """
    request = msgspec.json.encode([spec, target_type])  # not an argument: it may hold a token
    answer = _run(command(python.executable, _REPORT + _REVIEW), python.executable, request)
    if "error" in answer:
        raise ModelLoadError(answer["error"])
    return list(answer["warnings"])


def _run(
    words: Sequence[str],
    executable: str,
    data: bytes = b"",
    *,
    user: str | None = None,
    timeout: float = ANSWER_TIMEOUT,
) -> dict[str, Any]:
    """Run the command ``words`` of ``executable`` with ``data`` on its standard input, and return its report."""
    subject = subject_of(executable) + (f" (as user '{user}')" if user is not None else "")
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **identity(executable, user),
        )
    except OSError as error:
        raise StartupError(f"{subject} cannot be run: {error.strerror}") from error
    try:
        output, errors = process.communicate(data, timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise StartupError(f"{subject} has not answered after {timeout:g} s: it hangs at start") from None
    text = output.decode("utf-8", "replace").rpartition(f"\n{_MARK}")[2].partition("\n")[0]
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError:
        raise StartupError(f"{subject} {_why(process.returncode, errors)}") from None
    return answer


def _why(code: int, errors: bytes) -> str:
    lines: Sequence[str] = errors.decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1].strip()}" if lines else ""
    return f"does not run Python code (exit code {code}){said}"
