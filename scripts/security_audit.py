"""Known vulnerabilities of the locked dependencies, and the generated parts of docs/security-audit.md.

Run it as ``scripts/audit``; ``scripts/audit --write [PART ...]`` writes the parts, which stand between two comments
each again. ``dependencies`` downloads the locked wheels and ``advisories`` asks an advisory source; ``ciphers`` and
``code`` need no network, and a test keeps them current.
"""

from __future__ import annotations

import argparse
import ast
import email.message
import json
import re
import ssl
import subprocess
import sys
import tempfile
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from email import message_from_bytes
from importlib import metadata, util
from pathlib import Path

from page_parts import markdown_table, replace_part

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "security-audit.md"
LOCK = ROOT / "requirements" / "core.lock"
PACKAGE = ROOT / "drum_litestar"
DISTRIBUTION = "drum-litestar"
SCRIPT = "scripts/audit"
"""As the marks of the page's generated parts name this file."""
NATIVE = (".so", ".pyd", ".dylib")
WATCHED = ("socket", "ssl", "ctypes", "subprocess", "pickle")
"""Modules that access other processes or the network, or execute what they read."""

NOT_AUDITED = "nothing was audited"


class NoAdvisoriesError(Exception):
    """No source of advisories is available; the text is the reason."""


def main() -> int:
    """Exit code 1 for known vulnerabilities; 0 also when no audit was possible, which is printed."""
    parser = argparse.ArgumentParser(prog="scripts/audit", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument(
        "--write", nargs="*", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; default: all"
    )
    wanted = parser.parse_args().write
    if wanted is not None:
        text = PAGE.read_text()
        for part in wanted or PARTS:
            text = replace_part(text, SCRIPT, part, PARTS[part]())
        PAGE.write_text(text)
        return 0
    try:
        found = audit()
    except NoAdvisoriesError as error:
        print(f"{error}: {NOT_AUDITED.upper()}")
        return 0
    print(findings(found))
    return 1 if any(package.get("vulns") for package in found) else 0


def locked() -> dict[str, str]:
    """Versions by name, as ``requirements/core.lock`` has them."""
    pins = (line.partition("==") for line in LOCK.read_text().splitlines() if "==" in line)
    return {name: version for name, _, version in pins}


# --- dependencies -----------------------------------------------------------------------------------------------------


def dependencies() -> str:
    """Contents of the locked wheels. Raises subprocess.CalledProcessError when a download fails."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, "--requirement", str(LOCK)]
        subprocess.run(command, check=True)
        wheels = {canonical(path.name.partition("-")[0]): path for path in Path(folder).glob("*.whl")}
        described = {name: message_from_bytes(_member(path, "METADATA")) for name, path in wheels.items()}
        rows = []
        for name, version in locked().items():
            path = wheels[canonical(name)]
            brought_by = sorted(other for other in described if canonical(name) in required(described[other]))
            if canonical(name) in own_requirements():
                brought_by.insert(0, "**direct**")
            native, imported = inspect_wheel(path)
            rows.append(
                [
                    name,
                    version,
                    ", ".join(brought_by),
                    licence(described[canonical(name)]),
                    native,
                    ", ".join(imported) or "-",
                ]
            )
    return markdown_table(["package", "version", "needed by", "licence", "native code", "imports"], rows)


def own_requirements() -> set[str]:
    """The direct dependencies, without extras."""
    return _names(metadata.requires(DISTRIBUTION) or ())


def required(described: email.message.Message) -> set[str]:
    return _names(str(requirement) for requirement in described.get_all("Requires-Dist") or ())


def _names(requirements: Iterator[str] | Sequence[str]) -> set[str]:
    found = set()
    for requirement in requirements:
        specifier, _, marker = requirement.partition(";")
        name = re.match(r"[\w.-]+", specifier)
        if name is not None and not re.search(r"\bextra\b", marker):
            found.add(canonical(name[0]))
    return found


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(described: email.message.Message) -> str:
    """From the fields in which packages name it: the expression, a classifier, or the first words of a text."""
    expression = described.get("License-Expression")
    if expression:
        return str(expression)
    for classifier in described.get_all("Classifier") or ():
        if str(classifier).startswith("License :: OSI Approved :: "):
            return str(classifier).rpartition(" :: ")[2]
    return str(described.get("License") or "not named").strip().splitlines()[0]


def inspect_wheel(path: Path) -> tuple[str, list[str]]:
    """Whether the wheel holds native code, and which of the watched modules its Python code imports."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        native = sum(name.endswith(NATIVE) or ".so." in name for name in names)
        imported: set[str] = set()
        for name in names:
            if name.endswith(".py") and "/tests/" not in name:
                imported |= imports(archive.read(name).decode(errors="replace"))
    return f"{native} libraries" if native > 1 else "1 library" if native else "no", sorted(imported)


def _member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        (found,) = (each for each in archive.namelist() if each.count("/") == 1 and each.endswith(f".dist-info/{name}"))
        return archive.read(found)


def imports(source: str) -> set[str]:
    """The watched modules that this source imports, anywhere; none for a file of another Python's syntax."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in third-party sources
            tree = ast.parse(source)
    except SyntaxError:
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found & set(WATCHED)


def code() -> str:
    """Which files of this package import the watched modules."""
    users: dict[str, list[str]] = {name: [] for name in WATCHED}
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in imports(path.read_text()):
            users[name].append(f"`{path.relative_to(PACKAGE)}`")
    return markdown_table(["module", "imported by"], [[name, ", ".join(files) or "-"] for name, files in users.items()])


# --- TLS --------------------------------------------------------------------------------------------------------------


def ciphers() -> str:
    """Result of a handshake with the default settings for each version and cipher.

    Python's ssl chooses among the ciphers of TLS 1.3 for itself: those are the context's own list.
    """
    from drum_litestar.server.tls import build_context
    from drum_litestar.settings.groups.edge import TlsSettings

    kinds = {"RSA": ["rsa:2048"], "ECDSA": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]}
    servers = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, key in kinds.items():
            cert, secret = f"{folder}/{kind}.pem", f"{folder}/{kind}.key"
            command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-newkey", *key]
            subprocess.run([*command, "-keyout", secret, "-out", cert], check=True, capture_output=True)
            servers[kind] = build_context(TlsSettings(certfile=cert, keyfile=secret))
    versions = ssl.TLSVersion
    rows = []
    for name, version in {"1.0": versions.TLSv1, "1.1": versions.TLSv1_1}.items():
        answers = [_handshake(server, _client(version, "ALL:@SECLEVEL=0")) for server in servers.values()]
        rows.append([f"TLS {name}", "any", *(answer or "refused" for answer in answers)])
    for cipher in sorted(each["name"] for each in _client(versions.TLSv1_2, _EVERY).get_ciphers()):
        if not cipher.startswith("TLS_"):
            client = _client(versions.TLSv1_2, f"{cipher}:@SECLEVEL=0")
            answers = [_handshake(server, client) for server in servers.values()]
            if any(answers):
                rows.append(["TLS 1.2", f"`{cipher}`", *("yes" if answer else "refused" for answer in answers)])
    newest = [
        "yes" if _handshake(server, _client(versions.TLSv1_3, "ALL")) else "refused" for server in servers.values()
    ]
    own = sorted(each["name"] for each in servers["RSA"].get_ciphers() if each["protocol"] == "TLSv1.3")
    rows += [["TLS 1.3", f"`{cipher}`", *newest] for cipher in own]
    return markdown_table(["version", "cipher", *(f"{kind} certificate" for kind in servers)], rows)


_EVERY = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"


def _client(version: ssl.TLSVersion, offered: str) -> ssl.SSLContext:
    """A client of one TLS version that also offers ciphers which OpenSSL disables by default."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are tried on purpose
        client.minimum_version = client.maximum_version = version
    client.set_ciphers(offered)
    return client


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """The negotiated cipher, or None. Client and server are in this process."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    front = client.wrap_bio(to_client, to_server)
    waiting = [front, server.wrap_bio(to_server, to_client, server_side=True)]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return None
            waiting.remove(side)
    agreed = front.cipher()
    return agreed[0] if agreed else None


# --- advisories -------------------------------------------------------------------------------------------------------


def advisories() -> str:
    today = datetime.now(timezone.utc).date().isoformat()
    try:
        return f"{today}, by pip-audit. {findings(audit())}"
    except NoAdvisoriesError as error:
        return f"{today}: {error}, so **{NOT_AUDITED}** by this run. That says nothing about the dependencies."


def audit() -> list[Mapping[str, object]]:
    """pip-audit's report: one entry a locked package. Raises NoAdvisoriesError."""
    if util.find_spec("pip_audit") is None:
        raise NoAdvisoriesError("pip-audit could not be installed")
    # A package index need not have advisories: try the request that pip-audit makes.
    url = f"https://pypi.org/pypi/litestar/{locked()['litestar']}/json"
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            reachable = "vulnerabilities" in json.load(answer)
    except (OSError, ValueError):
        reachable = False
    if not reachable:
        raise NoAdvisoriesError("no advisory source could be reached")
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [*command, "--progress-spinner", "off", "--format", "json"], capture_output=True, text=True, check=False
    )
    try:
        report: list[Mapping[str, object]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        last = (done.stderr.strip().splitlines() or ["it wrote no report"])[-1]
        raise NoAdvisoriesError(f"pip-audit failed ({last})") from error
    return report


def findings(report: Sequence[Mapping[str, object]]) -> str:
    """A sentence, and a table of the known vulnerabilities if there are any."""
    rows = [
        [
            str(package["name"]),
            str(package["version"]),
            " ".join([vuln["id"], *vuln.get("aliases", [])]),
            ", ".join(vuln.get("fix_versions", [])) or "none",
        ]
        for package in report
        for vuln in package.get("vulns", ())  # type: ignore[attr-defined]
    ]
    if not rows:
        return f"{len(report)} locked packages, no known vulnerability."
    table = markdown_table(["package", "version", "advisory", "mended in"], rows)
    return f"{len(report)} locked packages, {len(rows)} known vulnerabilities:\n\n{table}"


PARTS: dict[str, Callable[[], str]] = {
    "dependencies": dependencies,
    "ciphers": ciphers,
    "code": code,
    "advisories": advisories,
}

if __name__ == "__main__":
    sys.exit(main())
