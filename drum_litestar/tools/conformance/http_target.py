"""A server as an HTTP client sees it: one kept-alive connection, nothing decoded, a failure is an answer too."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from drum_litestar.errors import UsageError
from drum_litestar.tools.conformance.verdicts import FailedCheck

SHOWN: Final = 120
"""Bytes of a body that messages show."""


class HttpAnswer(NamedTuple):
    """``status`` 0: there was no answer, ``body`` says why. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        text = self.body[:SHOWN].decode("utf-8", "replace")
        more = "..." if len(self.body) > SHOWN else ""
        return f"{self.status or 'no answer'} {text}{more}".rstrip()

    def json(self) -> Any:
        """The body as JSON in the sense of RFC 8259, without NaN and Infinity. Raises FailedCheck."""
        return parse_json(self.body)

    @property
    def error(self) -> str:
        """What the error object is not; empty if it is one."""
        try:
            answer = self.json()
        except FailedCheck as problem:
            return str(problem)
        if not isinstance(answer, dict) or not isinstance(answer.get("error"), str) or not answer["error"]:
            return f"no object with an 'error' text: {self}"
        return ""


class HttpTarget:
    """The server at ``url`` (http or https, with an optional path prefix). ``timeout``: seconds, for each read.

    Raises UsageError: ``ca_file`` cannot be used.
    """

    def __init__(
        self, url: str, *, headers: Iterable[tuple[str, str]] = (), timeout: float = 10.0, ca_file: Path | None = None
    ) -> None:
        self._options: dict[str, Any] = {"headers": tuple(headers), "timeout": timeout, "ca_file": ca_file}
        self._url = url
        split = urlsplit(url)
        self._prefix = split.path.rstrip("/")
        self._headers = dict(self._options["headers"])
        host, port = split.hostname or "", split.port
        if split.scheme == "https":
            try:
                context = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"--ca-file {ca_file}: cannot be used: {error}") from error
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send a request for ``path``, which follows the prefix as it is; an iterable body is sent in chunks."""
        fresh = self._connection.sock is None
        try:
            return self._exchange(method, path, body, headers or {})
        except (OSError, http.client.HTTPException) as failure:
            self._connection.close()
            if fresh or isinstance(failure, TimeoutError):
                return HttpAnswer(0, {}, f"{type(failure).__name__}: {failure}".encode())
        return self.send(method, path, body, headers)  # the server had closed the connection after the last answer

    def another(self) -> HttpTarget:
        """The same server, on a connection of its own."""
        return HttpTarget(self._url, **self._options)

    def close(self) -> None:
        self._connection.close()

    def _exchange(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: Mapping[str, str]
    ) -> HttpAnswer:
        try:
            self._connection.request(method, f"{self._prefix}{path}", body, {**self._headers, **headers})
        except (BrokenPipeError, ConnectionResetError):
            if self._connection.sock is None:
                raise
            # refused before the whole body was read: the answer may be there all the same
        response = self._connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, answered, response.read())


def parse_json(body: bytes) -> Any:
    """JSON without NaN and Infinity, which Python's reader would accept. Raises FailedCheck."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FailedCheck(f"not JSON ({error}): {body[:SHOWN]!r}") from None


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
