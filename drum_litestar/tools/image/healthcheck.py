"""What an image's ``HEALTHCHECK`` runs: exit code 0 when ``/readyz`` of this container's server answers 200."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from collections.abc import Mapping

TIMEOUT = 4
"""Seconds; the Containerfile gives the whole check 5."""


def check(environ: Mapping[str, str]) -> tuple[bool, str]:
    """Whether the server is ready, and what it said. ``environ`` is the server's: ``DRUM_PROBE_ADDRESS``, else
    ``ADDRESS``, has the port, ``URL_PREFIX`` the path before the route, ``DRUM_SSL_CERTFILE`` means TLS, which the port
    of the probes does not have."""
    probes = environ.get("DRUM_PROBE_ADDRESS", "").strip()
    host, port = _host_and_port(probes or environ.get("ADDRESS", ""))
    path = f"{environ.get('URL_PREFIX', '').rstrip('/')}/readyz"
    connection: http.client.HTTPConnection
    if environ.get("DRUM_SSL_CERTFILE") and not probes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # this container's own server
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(1000).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return False, f"{path}: {error}"
    finally:
        connection.close()
    return answer.status == 200, f"{path}: {answer.status} {text}"


def _host_and_port(address: str) -> tuple[str, int]:
    """What to connect to for a listen address that the server has accepted: an interface's own, else this machine."""
    bare = address.endswith("]") or ":" not in address
    host, _, port = (address, "", "") if bare else address.rpartition(":")
    host = host.strip("[]")
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host, int(port or 8080)


if __name__ == "__main__":
    ready, said = check(os.environ)
    print(said)
    sys.exit(0 if ready else 1)
