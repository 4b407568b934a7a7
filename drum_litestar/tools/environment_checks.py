"""Checks of the environment: Python, packages, the hook, memory and CPUs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from drum_litestar.drum_hook.decision import SWITCH
from drum_litestar.drum_hook.finder import ENTRY_POINT
from drum_litestar.drum_hook.hook_command import HookStatus
from drum_litestar.errors import StartupError
from drum_litestar.launcher.hidden_modules import hidden_modules
from drum_litestar.launcher.worker_interpreter import WorkerPython
from drum_litestar.name_clashes import OWN_MODULES, clash, described, own_files
from drum_litestar.observability.metrics.resources import cgroup_version, cpu_quota, memory_status, usable_cpus
from drum_litestar.server.loop_choice import choose_loop, installed_uvloop
from drum_litestar.tools.findings import BLOCKING, Finding, Level, import_problem

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 13)
"""The versions that the test matrix covers."""

CONFLICTS = (("langchain", "<0.1"), ("mlflow", "<2.9"), ("ray", "<2.8"))
"""Releases that cannot be imported beside Pydantic 2 (of ray, only its ``serve``)."""


class DrumState(NamedTuple):
    """``version`` None: not installed. ``problem`` says why an installed one cannot be imported."""

    version: str | None
    problem: str | None = None

    @property
    def works(self) -> bool:
        return self.version is not None and self.problem is None


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    facts = {"version": version, "executable": sys.executable}
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", BLOCKING, f"{version} is too old: 3.10 or later is needed", facts)
    if sys.version_info[:2] > NEWEST_PYTHON:
        return Finding("python", "warning", f"{version} is newer than what is tested (3.10 to 3.13)", facts)
    return Finding("python", "ok", f"{version} ({sys.executable})", facts)


def event_loop(requested: str) -> Finding:
    """The event loop that ``server`` chooses for the value ``requested`` of ``DRUM_UVICORN_LOOP``."""
    choice, uvloop = choose_loop(requested), installed_uvloop()
    text = f"{choice.name}" if choice.warning is None else choice.warning
    if choice.name == "uvloop":
        text = f"uvloop {uvloop}"
    return Finding("loop", "ok" if choice.warning is None else "warning", text, {"loop": choice.name, "uvloop": uvloop})


def own_requirements() -> Iterator[Finding]:
    """A finding for each requirement of this package that is missing or too old, or one for all of them."""
    missing = []
    for text in metadata.requires("drum-litestar") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name in {own.distribution for own in OWN_MODULES}:  # checked by the import below
            continue
        version = installed_version(requirement.name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            missing.append(f"{requirement.name} {version or 'is not installed'} (needed: {requirement})")
    problem = import_problem("drum_litestar.launcher.bootstrap", path=tuple(sys.path))
    if problem is not None:
        own_text = problem.removeprefix(f"{StartupError.__module__}.{StartupError.__qualname__}: ")
        missing.append(own_text if own_text != problem else f"the server cannot be imported: {problem}")
    for text in missing:
        yield Finding("drum-litestar", BLOCKING, text)
    if not missing:
        facts = {name: installed_version(name) for name in ("drum-litestar", "litestar", "msgspec", "uvicorn")}
        yield Finding("drum-litestar", "ok", ", ".join(f"{name} {facts[name]}" for name in facts), facts)


def modules() -> Iterator[Finding]:
    """Modules of the server that other files on the path hide."""
    for own in OWN_MODULES:
        there, files = clash(own), list(own_files(own))
        if there is not None and files:
            text = (
                f"Python finds {described(there)}, and so does the model's code; the server takes "
                f"{described(files[0])} all the same"
            )
            yield Finding(own.name, "info", text, {"found": there, "taken": files[0]})
    for hidden in hidden_modules():
        facts = {"module": hidden.name, "found": hidden.path}
        yield Finding("modules", "warning", str(hidden), facts)


def pydantic() -> Iterator[Finding]:
    """State of Pydantic, which the server does not use, for the model's code and DRUM."""
    version, problem = installed_version("pydantic"), import_problem("pydantic")
    required_by = dict(_dependents_of("pydantic"))
    facts = {"version": version, "problem": problem, "required_by": required_by}
    shown = version or "of unknown version"
    if problem is None:
        yield Finding("pydantic", "info", f"{shown}; not used by the server", facts)
    elif version is None and problem.startswith("ModuleNotFoundError: No module named 'pydantic'"):
        yield Finding("pydantic", "info", "not installed; the server does without", facts)
    else:
        text = f"{shown} is broken ({problem}); the server does without, model code may not"
        yield Finding("pydantic", "warning", text, facts)
    if version is None:
        return
    for name, specifier in required_by.items():
        if not SpecifierSet(specifier).contains(version, prereleases=True):
            yield Finding("pydantic", "warning", f"{name} requires pydantic{specifier}, but {version} is installed")
        elif specifier:
            yield Finding("pydantic", "info", f"pinned by {name}: pydantic{specifier}")


def worker_python(python: WorkerPython) -> Iterator[Finding]:
    """The interpreter of ``DRUM_WORKER_PYTHON``: its versions, and what is missing there."""
    found = {name: python.version_of(name) for name in ("msgspec", "pandas", "numpy", "scikit-learn", "pydantic")}
    facts = {"version": python.text_version, "executable": python.executable, **found}
    try:
        python.require()
    except StartupError as error:
        yield Finding("worker python", BLOCKING, str(error), facts)
        return
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in found.items())
    level: Level = "ok" if python.version[:2] <= NEWEST_PYTHON else "warning"
    newer = "" if level == "ok" else "; newer than what is tested (3.8 to 3.13)"
    yield Finding("worker python", level, f"{python.text_version} ({python.executable}){newer}: {versions}", facts)
    if os.environ.get("PYTHONPATH"):
        text = f"PYTHONPATH={os.environ['PYTHONPATH']} is searched by the workers' Python too"
        yield Finding("worker python", "info", text)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") and not python.has_module("opentelemetry"):
        text = f"no spans of the model's process: {python.pip} install opentelemetry-sdk brings OpenTelemetry there"
        yield Finding("worker python", "warning", text)


def drum_state(python: WorkerPython | None = None) -> DrumState:
    """Whether DRUM's own command, or in the workers' ``python`` its predictors, can be imported by a new process."""
    version = installed_version("datarobot-drum") if python is None else python.version_of("datarobot-drum")
    if version is None:
        return DrumState(None)
    executable = sys.executable if python is None else python.executable
    return DrumState(version, import_problem(ENTRY_POINT, {SWITCH: "0"}, python=executable))


def drum(state: DrumState) -> Finding:
    facts = {"version": state.version, "problem": state.problem}
    if state.version is None:
        return Finding("datarobot-drum", "info", "not installed; Python models do without", facts)
    if state.problem is not None:
        text = f"{state.version} cannot be imported ({state.problem}); Python models do without"
        return Finding("datarobot-drum", "warning", text, facts)
    return Finding("datarobot-drum", "ok", f"{state.version}, can be imported", facts)


def hook(status: HookStatus, state: DrumState) -> Finding:
    """State of the hook, without which `drum server` cannot run this backend."""
    facts = {"active": status.active, "default": status.default}
    if state.version is None:
        text = "nothing to do: it changes `drum server`, a command of datarobot-drum; use 'drum-litestar server'"
        return Finding("hook", "info", text, facts)
    return Finding("hook", "ok" if status.active else "warning", status.text, facts)


def memory() -> Finding:
    status, version = memory_status(), cgroup_version()
    facts = {
        "cgroup": version,
        "limit_bytes": status.limit,
        "total_bytes": status.total,
        "available_bytes": status.available,
    }
    source = f"cgroup v{version}" if version is not None else "no cgroup"
    limit = "no limit" if status.limit is None else f"limit {_mebibytes(status.limit)}"
    text = f"{source}, {limit}; {_mebibytes(status.available)} of {_mebibytes(status.total)} available"
    return Finding("memory", "ok", text, facts)


def cpu() -> Finding:
    usable, quota = usable_cpus(), cpu_quota()
    text = f"{usable:g} usable" + ("" if quota is None else f" (quota {quota:g})")
    return Finding("cpu", "ok", text, {"usable": usable, "quota": quota})


def conflicts() -> Iterator[Finding]:
    """Installed releases that are known not to work with the installed Pydantic 2."""
    pydantic_version = installed_version("pydantic")
    if pydantic_version is None or Version(pydantic_version).major < 2:
        return
    for name, bad in CONFLICTS:
        version = installed_version(name)
        if version is not None and SpecifierSet(bad).contains(version, prereleases=True):
            fixed = bad.replace("<", ">=")
            text = (
                f"{name} {version} does not work with pydantic {pydantic_version}: install '{name}{fixed}', or "
                "'pydantic<2', beside which this server works too"
            )
            yield Finding("conflict", "warning", text, {"package": name, "version": version})


def installed_version(name: str) -> str | None:
    """Version in the package's metadata; None when it is absent or cannot be compared."""
    try:
        return str(Version(metadata.version(name)))
    except (metadata.PackageNotFoundError, InvalidVersion, TypeError):
        return None


def _dependents_of(name: str) -> Iterator[tuple[str, str]]:
    """Installed distributions that require ``name`` here, without extras, with the versions that they allow."""
    for distribution in metadata.distributions():
        for text in distribution.requires or ():
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue
            if canonicalize_name(requirement.name) == name and (
                requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            ):
                yield distribution.metadata["Name"], str(requirement.specifier)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
