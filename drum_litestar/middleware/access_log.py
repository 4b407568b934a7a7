"""Access log, response time, and the end-of-request callback for metrics."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from base64 import b64decode
from collections.abc import Callable, Set
from typing import Final

from drum_litestar.middleware.asgi import CLIENT_CLOSED, ASGIApp, Header, Receive, Scope, Send
from drum_litestar.middleware.response_tap import ResponseTap
from drum_litestar.request_state import request_state

FLUSH_INTERVAL: Final = 0.02
"""Seconds after which ended requests are logged, so that no response waits for its line."""

OnRequestEnd = Callable[[str, str, "str | None", int, float], None]
"""``(method, path, route template or None, status, seconds)``."""

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f-\x9f"\\\u2028\u2029\u202a-\u202e\u2066-\u2069]')
_access: Final = logging.getLogger("drum_litestar.access")
_logger: Final = logging.getLogger(__name__)
_drum: Final = logging.getLogger("drum.drum")


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def printable(text: str) -> str:
    """``text`` with control characters, quotes and backslashes as ``\\xNN``: it cannot end a field or a line."""
    return text if _plain(text) else _UNSAFE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class AccessLogMiddleware:
    """Logs each finished request, adds ``X-Response-Time-Ms`` and calls ``on_request_start``/``_end``, always in pairs.

    Access lines go to the logger ``drum_litestar.access`` in gunicorn's format; responses of status 400 and up are
    also logged to ``drum.drum`` as DRUM does (contract, 5.8). What a line says is also in attributes of its record:
    ``method``, ``path`` (without the query), ``client``, ``status``, ``duration`` (seconds). The header counts from the
    request's head to the response's; log and hook cover the whole response, streamed ones too.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        on_request_start: Callable[[], None] | None = None,
        on_request_end: OnRequestEnd | None = None,
        probes: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``probes`` False: requests of orchestrators and monitoring, which come every few seconds (probes and
        ``/metrics``), have no access line."""
        self.app = app
        self.probes = probes
        self.on_request_start = on_request_start
        self.on_request_end = on_request_end
        self.clock = clock
        self._stamp = (0, "")
        self._ended: list[tuple[Scope, int, int, float, float]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            try:
                await self.app(scope, receive, send)
            finally:
                self.flush()  # the lifespan has ended: the event loop stops before a timer could fire
            return
        clock = self.clock
        started = clock()
        if self.on_request_start is not None:
            self.on_request_start()

        def set_time(_status: int, headers: list[Header], _names: Set[bytes]) -> None:
            headers.append((b"x-response-time-ms", b"%.3f" % ((clock() - started) * 1000)))

        tap = ResponseTap.of(send)
        tap.on_start(set_time)
        failed = 0
        try:
            await self.app(scope, receive, tap)
        except Exception:
            failed = 500
            raise
        finally:
            # An answer that the protocol itself has sent counts: it discards what the app sends after that.
            status = tap.status or failed or CLIENT_CLOSED
            sent = 0 if scope["method"] == "HEAD" else tap.sent
            status, sent = request_state(scope).protocol_answer or (status, sent)
            self._finish(scope, status, sent, clock() - started)

    def _finish(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        if (self.probes or not request_state(scope).route.is_polled) and _access.isEnabledFor(logging.INFO):
            if not self._ended:
                asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self.flush)
            self._ended.append((scope, status, sent, seconds, time.time()))
        if status >= 400 and _drum.isEnabledFor(logging.INFO):
            target = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
            request_id = request_state(scope).request_id
            _drum.info(
                "API [%s %s] request time: %f sec, request_id: %s",
                scope["method"],
                printable(target),
                seconds,
                request_id,
            )
        if self.on_request_end is not None:
            # Litestar leaves the template in the scope; it is empty for paths that match no route.
            self.on_request_end(scope["method"], scope["path"], scope.get("path_template") or None, status, seconds)

    def flush(self) -> None:
        """Log the requests that have ended since the last flush."""
        ended, self._ended = self._ended, []
        for scope, status, sent, seconds, now in ended:
            try:
                line = self._line(scope, status, sent, now)
            except Exception:  # the app has changed the scope in a way that breaks this line only
                _logger.exception("A request is missing in the access log")
                continue
            record = _access.makeRecord(_access.name, logging.INFO, __file__, 0, line, (), None)
            request_id = request_state(scope).request_id
            record.__dict__.update(
                created=now,
                msecs=now % 1 * 1000,
                method=scope["method"],
                path=scope["path"],
                client=(scope.get("client") or (None,))[0],
                status=status,
                duration=seconds,
                request_id=request_id,
                context_data={"request_id": request_id},
            )
            _access.handle(record)

    def _line(self, scope: Scope, status: int, sent: int, now: float) -> str:
        client = (scope.get("client") or ("",))[0] or "-"
        target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        user, referer, agent = "-", "-", "-"
        for name, value in scope["headers"]:
            if name == b"user-agent":
                agent = value.decode("latin-1") or "-"
            elif name == b"referer":
                referer = value.decode("latin-1") or "-"
            elif name == b"authorization":
                user = _basic_user(value)
        if not _plain(target + referer + agent + client) or " " in client:
            target, referer, agent = printable(target), printable(referer), printable(agent)
            client = _field(client)  # a trusted proxy may pass on any name that the client gives itself
        return (
            f"{client} - {user} [{self._date(int(now))}] "
            f'"{scope["method"]} {target} HTTP/{scope["http_version"]}" {status} {sent} "{referer}" "{agent}"'
        )

    def _date(self, now: int) -> str:
        if self._stamp[0] != now:
            self._stamp = (now, time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(now)))
        return self._stamp[1]


def _basic_user(authorization: bytes) -> str:
    scheme, _, credentials = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return "-"
    try:
        user = b64decode(credentials.strip(), validate=True).partition(b":")[0].decode("utf-8")
    except ValueError:
        return "-"
    return _field(user)


def _field(text: str) -> str:
    """Escape ``text`` for a field between blanks; ``-`` when empty."""
    return printable(text).replace(" ", "\\x20") or "-"
