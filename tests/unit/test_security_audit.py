"""``scripts/audit``: the generated parts of docs/security-audit.md are current and true."""

from __future__ import annotations

import importlib.util
import shutil
import ssl
import zipfile
from pathlib import Path
from typing import Any

import pytest
import security_audit
from page_parts import read_part
from security_audit import PAGE, PARTS, SCRIPT, canonical, locked, own_requirements

from support.servers.certificates import make_pair

NEEDS_OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")


@pytest.mark.parametrize("part", ["code", pytest.param("ciphers", marks=NEEDS_OPENSSL)])
def test_parts_without_network_are_current(part: str) -> None:
    assert read_part(PAGE.read_text(), SCRIPT, part) == PARTS[part](), f"run: scripts/audit --write {part}"


def test_dependencies_are_the_locked_ones() -> None:
    """What is in the wheels needs the network; which wheels they are does not."""
    lines = read_part(PAGE.read_text(), SCRIPT, "dependencies").splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {row[0]: row[1] for row in rows} == locked(), "run: scripts/audit --write dependencies"
    direct = {canonical(row[0]) for row in rows if "**direct**" in row[2]}
    assert direct == own_requirements(), "run: scripts/lock and scripts/audit --write dependencies"


def test_every_direct_dependency_is_reviewed() -> None:
    table = PAGE.read_text().partition("## Direct dependencies")[2].partition("\n## ")[0].splitlines()
    reviewed = {canonical(line.split("|")[1].strip()) for line in table if line.startswith("|")}
    assert own_requirements() <= reviewed


def test_advisories_say_when_and_what() -> None:
    text = read_part(PAGE.read_text(), SCRIPT, "advisories")
    assert text[:4].isdigit()
    assert security_audit.NOT_AUDITED in text or "locked packages" in text


@NEEDS_OPENSSL
def test_handshakes_see_weak_servers(tmp_path: Path) -> None:
    """Guards the word "refused" in the table."""
    pair = make_pair(tmp_path, "weak")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.cert, pair.key)
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        server.minimum_version = ssl.TLSVersion.TLSv1
    server.set_ciphers("ALL:@SECLEVEL=0")
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        assert security_audit._handshake(server, security_audit._client(version, "ALL:@SECLEVEL=0"))
    static = security_audit._client(ssl.TLSVersion.TLSv1_2, "AES256-SHA:@SECLEVEL=0")
    assert security_audit._handshake(server, static) == "AES256-SHA"


def test_wheels_are_looked_into(tmp_path: Path) -> None:
    wheel = tmp_path / "some-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some/__init__.py", "def f():\n    import socket\n    from ctypes import util\n")
        archive.writestr("some/tests/test_some.py", "import pickle\n")
        archive.writestr("some/old.py", "print 'Python 2'\nimport ssl\n")
        archive.writestr("some/fast.cpython-311-x86_64-linux-gnu.so", b"")
    assert security_audit.inspect_wheel(wheel) == ("1 library", ["ctypes", "socket"])


def test_relative_imports_are_not_the_standard_librarys() -> None:
    assert security_audit.imports("from . import socket\nfrom .ssl import x\nimport os.path\n") == set()


def test_known_vulnerabilities_are_shown() -> None:
    vuln = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}
    good, bad = {"name": "good", "version": "1"}, {"name": "bad", "version": "1.5"}
    report: list[dict[str, Any]] = [{**good, "vulns": []}, {**bad, "vulns": [vuln]}]
    text = security_audit.findings(report)
    assert "2 locked packages, 1 known vulnerabilities" in text
    assert "| bad | 1.5 | PYSEC-1 CVE-1 | 2.0 |" in text
    assert security_audit.findings(report[:1]) == "1 locked packages, no known vulnerability."


def test_without_an_auditor_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["audit"])
    assert security_audit.main() == 0
    assert "NOTHING WAS AUDITED" in capsys.readouterr().out
    assert "**nothing was audited**" in security_audit.advisories()
