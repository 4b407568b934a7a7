"""``DRUM_WORKER_PYTHON``: the model workers' own interpreter, found, asked what it has, and refused in one line.

It is asked once, in a short-lived process as the workers' user. The workers need little there; what a model needs
besides is the model's affair.
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
"""Seconds in which an interpreter must have answered: it may lie on a slow network drive."""

_MARK: Final = "drum-litestar-worker-python:"

_TELL: Final = f"""
import sys
def tell(**facts):
    import json
    sys.stdout.write("\\n{_MARK}" + json.dumps(facts) + "\\n")
    sys.stdout.flush()
    sys.exit(0)
if sys.path[:1] == [""]: del sys.path[0]
"""
"""What the user's start-up files print must not be taken for the answer."""

_QUESTION: Final = """
version = list(sys.version_info[:3])
if sys.version_info < {oldest}:
    tell(version=version)
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
tell(version=version, packages=packages, problem=problem, modules=[name for name in {modules} if util.find_spec(name)])
"""

_REVIEW: Final = """
import msgspec
from typing import Tuple
from drum_litestar.errors import ModelLoadError
from drum_litestar.predictors.folder.model_folder import review_model
from drum_litestar.predictors.protocol import TargetType
from drum_litestar.predictors.spec import PredictorSpec
spec, target_type = msgspec.json.decode(sys.stdin.buffer.read(), type=Tuple[PredictorSpec, TargetType])
try:
    warnings = review_model(spec, target_type)
except ModelLoadError as error:
    tell(error=str(error))
tell(warnings=warnings)
"""


class WorkerPython(msgspec.Struct, frozen=True):
    """An interpreter that answered: what it is and what is installed there.

    Keeps :class:`drum_litestar.launcher.packages.Packages`.
    """

    executable: str
    version: tuple[int, int, int]
    packages: dict[str, str] = {}
    """Versions by normalized distribution name."""
    modules: tuple[str, ...] = ()
    """Those of ``CHECKED_MODULES`` that can be found there."""
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
        """Requirements of the workers that are absent or too old, as pip takes them."""
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
            damaged = self.problem and self.version_of("msgspec") is not None  # pip would take it for satisfied
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
    """The parameter and its value, as messages begin."""
    return f"DRUM_WORKER_PYTHON='{path}'"


def find_interpreter(text: str) -> str:
    """Absolute path of the interpreter that ``text`` names: a file, a virtual environment's folder, or a command on
    the path. Links are kept, since a virtual environment is known by the link's place.

    Raises SettingsError, one line.
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


def ask_configured(workers: WorkerSettings) -> WorkerPython | None:
    """What the interpreter of ``DRUM_WORKER_PYTHON`` is and has; None without one. Raises StartupError, one line."""
    return None if workers.python is None else ask(find_interpreter(workers.python), user=workers.user)


def ask(executable: str, *, user: str | None = None, timeout: float = ANSWER_TIMEOUT) -> WorkerPython:
    """What ``executable`` is and has, as ``user`` sees it. Raises StartupError, one line, when it does not say so
    within ``timeout`` seconds."""
    question = _QUESTION.format(oldest=OLDEST, modules=CHECKED_MODULES)
    answer = _run(bare_command(executable, _TELL + question), executable, user=user, timeout=timeout)
    return msgspec.convert({"executable": executable, **answer}, WorkerPython)


def review_there(python: WorkerPython, spec: PredictorSpec, target_type: TargetType) -> list[str]:
    """:func:`~drum_litestar.predictors.folder.model_folder.review_model` where the model will run.

    Raises ModelLoadError, and StartupError as :func:`ask` does.
    """
    asked = msgspec.json.encode([spec, target_type])  # not an argument: it may hold a token
    answer = _run(command(python.executable, _TELL + _REVIEW), python.executable, asked)
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
    """What the command ``words`` of ``executable`` tells, with ``data`` on its standard input."""
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
