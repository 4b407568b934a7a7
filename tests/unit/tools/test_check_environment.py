from __future__ import annotations

import sys
from collections.abc import Callable
from email.message import Message
from importlib import metadata
from pathlib import Path

import pytest

from drum_litestar.observability.metrics import resources
from drum_litestar.tools import environment_checks as checks
from drum_litestar.tools.environment_checks import DrumState
from drum_litestar.tools.findings import BLOCKING, import_problem

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution's metadata, and code if given, first on the path of this process and its children."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def install(name: str, version: str, requires: tuple[str, ...] = (), code: str | None = None) -> None:
        information = tmp_path / f"{name}-{version}.dist-info"
        information.mkdir()
        message = Message()
        message["Metadata-Version"], message["Name"], message["Version"] = "2.1", name, version
        for requirement in requires:
            message["Requires-Dist"] = requirement
        (information / "METADATA").write_text(message.as_string())
        if code is not None:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text(code)

    return install


def test_python(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.python().level == "ok"
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert checks.python().level == BLOCKING
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert checks.python().level == "warning"


def test_loop() -> None:
    assert checks.event_loop("asyncio").facts["loop"] == "asyncio"
    finding = checks.event_loop("auto")
    assert finding.text == f"uvloop {metadata.version('uvloop')}"
    assert finding.level == "ok"


def test_own_requirements_are_met() -> None:
    (finding,) = checks.own_requirements()
    assert finding.level == "ok"
    assert finding.facts["litestar"] == metadata.version("litestar")


@pytest.mark.parametrize(
    ("version", "fits"), [("2.9.0", False), ("2.20.0", True), ("2.25.9", True), ("2.100.0", False)]
)
def test_own_requirements_compare_versions(install: Install, version: str, fits: bool) -> None:
    """As versions: 2.9 is older than 2.20, and 2.100 is newer than 2.26."""
    install("litestar", version)
    findings = list(checks.own_requirements())
    assert [finding.level for finding in findings] == (["ok"] if fits else [BLOCKING])
    assert version in findings[0].text


def test_broken_server_is_blocking(install: Install) -> None:
    install("uvicorn", "0.30.0", code="raise ImportError('cannot load')\n")
    (finding,) = checks.own_requirements()
    assert finding.level == BLOCKING
    assert finding.text == "the server cannot be imported: ImportError: cannot load"


def test_pydantic_that_works(install: Install) -> None:
    install("pydantic", "1.10.13", code="")
    install("old_friend", "1.0", ("pydantic<2",))
    install("no_friend", "1.0", ("pydantic>=2.4",))
    install("maybe", "1.0", ("pydantic>=2; extra == 'x'", "not a requirement"))
    first, *rest = checks.pydantic()
    assert (first.level, first.text) == ("info", "1.10.13; not used by the server")
    assert first.facts["required_by"]["old_friend"] == "<2"
    assert "maybe" not in first.facts["required_by"]
    texts = {finding.text: finding.level for finding in rest}
    assert texts["pinned by old_friend: pydantic<2"] == "info"
    assert texts["no_friend requires pydantic>=2.4, but 1.10.13 is installed"] == "warning"


def test_pydantic_that_is_broken(install: Install) -> None:
    install("pydantic", "2.5.0", code="raise RuntimeError('no core')\n")
    first = next(checks.pydantic())
    assert first.level == "warning"
    assert "RuntimeError: no core" in first.text


def test_drum_states() -> None:
    assert checks.drum(DrumState(None)).level == "info"
    assert checks.drum(DrumState("1.18.1")).level == "ok"
    finding = checks.drum(DrumState("1.18.1", "ImportError: no"))
    assert finding.level == "warning"
    assert "ImportError: no" in finding.text


@pytest.mark.parametrize(
    ("code", "problem"), [("", None), ("import nothing_like_it\n", "No module named 'nothing_like_it'")]
)
def test_drum_is_imported_elsewhere(install: Install, tmp_path: Path, code: str, problem: str | None) -> None:
    install("datarobot_drum", "9.9", code="")
    (tmp_path / "datarobot_drum" / "drum").mkdir()
    (tmp_path / "datarobot_drum" / "drum" / "__init__.py").touch()
    (tmp_path / "datarobot_drum" / "drum" / "entry_point.py").write_text(code)
    state = checks.drum_state()
    assert state.version == "9.9"
    assert (state.problem or "").endswith(problem or "")
    assert state.works is (problem is None)
    assert "datarobot_drum" not in sys.modules


@pytest.mark.parametrize(
    ("pydantic", "package", "version", "bad"),
    [
        ("2.1.0", "langchain", "0.0.350", True),
        ("2.1.0", "langchain", "0.1.0", False),
        ("2.1.0", "mlflow", "2.8.1", True),
        ("2.1.0", "mlflow", "2.10.0", False),
        ("2.1.0", "ray", "2.7.2", True),
        ("1.10.13", "ray", "2.7.2", False),
    ],
)
def test_known_conflicts(install: Install, pydantic: str, package: str, version: str, bad: bool) -> None:
    install("pydantic", pydantic)
    install(package, version)
    found = [finding.facts["package"] for finding in checks.conflicts()]
    assert (package in found) is bad


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    status = resources.MemoryStatus(8 * 2**30, 2**30, 2**30, 2 * 2**30, 2**30, None, 0)
    monkeypatch.setattr(checks, "memory_status", lambda: status)
    monkeypatch.setattr(checks, "cgroup_version", lambda: 2)
    finding = checks.memory()
    assert finding.text == "cgroup v2, limit 2,048 MiB; 1,024 MiB of 8,192 MiB available"
    assert finding.facts["limit_bytes"] == 2 * 2**30
    monkeypatch.setattr(checks, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(checks, "usable_cpus", lambda: 1.5)
    assert checks.cpu().text == "1.5 usable (quota 1.5)"


def test_cgroup_version(tmp_path: Path) -> None:
    assert resources.cgroup_version(tmp_path) is None
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "proc/self/mountinfo").write_text("1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    assert resources.cgroup_version(tmp_path) == 2


def test_import_problem_of_a_crash(install: Install) -> None:
    install("crasher", "1", code="import os; os._exit(3)\n")
    assert import_problem("crasher") == "Python ended with 3"
    assert import_problem("json") is None
