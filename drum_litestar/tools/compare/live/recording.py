"""``--record``: a proxy in front of the baseline that writes each request to a JSONL corpus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from drum_litestar.errors import UsageError
from drum_litestar.settings.masking import is_secret_header
from drum_litestar.tools.compare.corpus import encode_line
from drum_litestar.tools.compare.live.live_mode import Live
from drum_litestar.tools.compare.live.proxy import Exchange, Route
from drum_litestar.tools.compare.messages import end_to_end
from drum_litestar.tools.compare.progress import LOGGER
from drum_litestar.tools.compare.upstream import Upstream

_OF_THE_CONNECTION: Final = frozenset(("host", "content-length"))


class Recorder(Live):
    """Appends requests to ``path``, which only its owner can read. Headers with credentials are left out unless
    ``keep_secrets``; replay adds them with ``--header``."""

    def __init__(
        self,
        baseline: Upstream,
        path: Path,
        *,
        keep_secrets: bool = False,
        max_requests: int | None = None,
        duration: float | None = None,
    ) -> None:
        super().__init__(max_requests=max_requests, duration=duration)
        self._route = Route(baseline)
        self._keep_secrets = keep_secrets
        self.skipped = 0
        try:
            self._file: BinaryIO = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        except OSError as error:
            raise UsageError(f"--record {path}: cannot be written: {error.strerror or error}.") from error
        if self._file.tell():
            LOGGER.info("%s exists: appending", path)

    async def stop(self) -> None:
        await super().stop()
        self._file.close()

    def status(self) -> str:
        return f"recorded {self.requests} requests, {self.skipped} were too large"

    def route(self, request_id: str) -> Route:
        return self._route

    def finished(self, exchange: Exchange) -> None:
        """Record the request, whatever its answer is."""
        if not exchange.request_whole:
            self.skipped += 1
            return
        headers = end_to_end(exchange.request.headers, drop=_OF_THE_CONNECTION)
        if not self._keep_secrets:
            headers = tuple((name, value) for name, value in headers if not is_secret_header(name))
        self._file.write(encode_line(msgspec.structs.replace(exchange.request, headers=headers)))
        self._file.flush()
        self.counted()
