"""Self-signed certificates for TLS tests, made by the ``openssl`` command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """Paths of a certificate and its key."""

    cert: str
    key: str


def make_pair(folder: Path, name: str, password: str | None = None) -> Pair:
    """A certificate for ``localhost``, good for two days; with ``password`` the key is encrypted."""
    pair = Pair(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    secret = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", pair.key, "-out", pair.cert, *secret]
    subprocess.run(command, check=True, capture_output=True)
    return pair
