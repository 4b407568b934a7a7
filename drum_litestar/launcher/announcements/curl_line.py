"""The command that a reader of the start message can paste: one request that fits the model, to where it listens."""

from __future__ import annotations

import ipaddress
import json
import shlex
import socket
from collections.abc import Sequence
from typing import Final, NamedTuple

from drum_litestar.http.openapi.request_examples import CHAT, COMPLETION, EMBEDDING, TEXT, csv_text
from drum_litestar.predictors.protocol import ModelCard, TargetType
from drum_litestar.predictors.rules import answers_rows
from drum_litestar.server.sockets import format_address
from drum_litestar.settings.groups.edge import AccessSettings, TlsSettings

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Addresses of all interfaces, and one under which this machine reaches itself."""


class Target(NamedTuple):
    """Where the server listens. URLs have ``URL_PREFIX``, and no slash at their end."""

    url: str
    """With the address of the socket, or the name that was asked for."""
    reachable: str
    """The same for a client on this machine."""
    unix_socket: str = ""
    """Path of the socket; the URLs then have any host."""

    @classmethod
    def of(cls, sockets: Sequence[socket.socket], *, host: str, tls: bool, url_prefix: str) -> Target:
        """The first of ``sockets``, which were bound for ``host``. ``url_prefix`` is normalized."""
        name = sockets[0].getsockname()
        scheme = "https" if tls else "http"
        if not isinstance(name, tuple):
            url = f"{scheme}://localhost{url_prefix}"
            return cls(url, url, str(name))
        address, port = str(name[0]), int(name[1])
        if not _is_address(host):
            address = host  # a certificate has the name
        urls = [
            f"{scheme}://{format_address(each, port)}{url_prefix}"
            for each in (address, _EVERYWHERE.get(address, address))
        ]
        return cls(*urls)

    def __str__(self) -> str:
        if self.unix_socket:
            return f"{self.url} (UNIX socket {self.unix_socket})"
        return self.url if self.url == self.reachable else f"{self.url} (here {self.reachable})"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def has_body(card: ModelCard) -> bool:
    """Whether the command is complete; else it names a file that only the reader has."""
    return _request(card)[2] is not None


def curl_line(card: ModelCard, target: Target, access: AccessSettings, tls: TlsSettings) -> str:
    """A shell command, for POSIX shells and fish. The access token is not in it: it takes that from the variable."""
    path, media_type, body = _request(card)
    words = ["curl"]
    if target.unix_socket:
        words += ["--unix-socket", shlex.quote(target.unix_socket)]
    if tls.certfile is not None:
        words += ["--cacert", shlex.quote(tls.certfile)]
    if tls.cert_reqs == "required":
        words += ["--cert CLIENT.pem --key CLIENT.key"]
    if access.api_token:
        words += ['-H "Authorization: Bearer $DRUM_API_TOKEN"']
    url = shlex.quote(f"{target.reachable}{path}")
    if body is None:
        return " ".join([*words, "-F X=@data.csv", url])
    words += ["-H", shlex.quote(f"Content-Type: {media_type}")]
    if "\n" not in body:
        return " ".join([*words, "-d" if media_type == "application/json" else "--data-binary", shlex.quote(body), url])
    lines = body.replace("\\", r"\\").replace("%", "%%").replace("\n", r"\n")
    return " ".join([f"printf {shlex.quote(lines)} |", *words, "--data-binary @-", url])


def _request(card: ModelCard) -> tuple[str, str, str | None]:
    """Route, media type and body; None for a body that only the reader has."""
    if card.chat:
        return "/chat/completions", "application/json", json.dumps(CHAT)
    if not answers_rows(card):
        if card.completions:
            return "/v1/completions", "application/json", json.dumps(COMPLETION)
        return "/v1/embeddings", "application/json", json.dumps(EMBEDDING)
    if card.target_type is TargetType.UNSTRUCTURED:
        return "/predictUnstructured/", "text/plain", TEXT
    path = "/transform/" if card.target_type is TargetType.TRANSFORM else "/predict/"
    return path, "text/csv", csv_text(card) or None
