"""Rate limit: one token bucket per client."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from drum_litestar.errors import RateLimitedError
from drum_litestar.middleware.asgi import ASGIApp, OnRejected, Receive, Scope, Send, header, send_error
from drum_litestar.request_state import request_state

MAX_CLIENTS: Final = 10_000
"""Maximum number of buckets; the client with the oldest request is dropped first."""

_BUCKET: Final = struct.Struct("<dd")
_WARNING_INTERVAL: Final = 60.0

STORE_PAUSE: Final = 5.0
"""Seconds for which a failed shared store is not used: requests must not each wait for its timeout."""
_logger: Final = logging.getLogger(__name__)


class SharedStore(Protocol):
    """A store that several replicas share. Every Litestar store (Redis, Valkey, ...) has this shape."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None when absent or expired."""

    async def set(self, key: str, value: bytes, expires_in: int) -> None:
        """Keep ``value`` for ``expires_in`` seconds."""


class TokenBuckets:
    """Buckets of ``burst`` tokens that refill at ``rpm`` tokens a minute; each client starts with a full one.

    Clients are kept in the order of their last request, so the first entry of the table is the least recently used.
    A bucket that is full again equals an absent one, and is dropped.
    """

    def __init__(self, *, rpm: float, burst: int, max_clients: int = MAX_CLIENTS) -> None:
        self.rate = rpm / 60.0
        self.burst = float(burst)
        self.max_clients = max_clients
        self.fill_seconds = self.burst / self.rate
        self._table: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._table)

    def take(self, key: str, now: float) -> float:
        """Spend one token of ``key``. Returns 0.0, or the seconds until there is one (then nothing is spent)."""
        bucket, wait = self.spend(self._table.pop(key, None), now)
        self._evict(now)
        self._table[key] = bucket
        return wait

    def spend(self, bucket: tuple[float, float] | None, now: float) -> tuple[tuple[float, float], float]:
        """Spend one token of ``bucket``: (tokens, time of that count), or None for a full one.

        Returns the bucket afterwards, and the wait in seconds as :meth:`take` does.
        """
        tokens = self.burst
        if bucket is not None:
            elapsed = max(0.0, now - bucket[1])
            tokens = min(self.burst, bucket[0] + elapsed * self.rate)
        if tokens >= 1.0:
            return (tokens - 1.0, now), 0.0
        return (tokens, now), (1.0 - tokens) / self.rate

    def _evict(self, now: float) -> None:
        while self._table:
            oldest = next(iter(self._table))
            if len(self._table) < self.max_clients and now - self._table[oldest][1] < self.fill_seconds:
                return
            del self._table[oldest]


class RateLimitMiddleware:
    """Answers 429 with ``Retry-After`` to a client whose bucket is empty. Routes of operators and probes spend nothing.

    The client is the peer as the server's trusted-proxy handling left it in ``scope["client"]``: the first address
    of ``X-Forwarded-For`` can be forged. IPv6 clients count by their /64, the smallest block that a site is given.

    With a ``shared_store`` the client must find a token in this process's bucket and in the shared one. Reading and
    writing the shared bucket are two steps, so replicas asking at the same instant may spend the same token; the
    local bucket bounds that error. Only the shared bucket uses the wall clock, the one clock that replicas have in
    common; a clock that jumps gains a client one full bucket at most. While the store does not
    answer, the local buckets alone decide; it is tried again after ``STORE_PAUSE`` seconds.

    Args:
        app: the wrapped ASGI application.
        rpm: tokens a minute.
        burst: size of the bucket.
        key_header: header whose value names the client instead of its address. Only for a header that an
            authenticating layer has verified: a client that may invent values has as many buckets as it likes.
        shared_store: see above.
        clock: monotonic seconds.
        on_rejected: called with ``rate_limit`` for each refusal.
        max_clients: bound of the local table.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rpm: float,
        burst: int,
        key_header: str | None = None,
        shared_store: SharedStore | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_rejected: OnRejected | None = None,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self.app = app
        self.buckets = TokenBuckets(rpm=rpm, burst=burst, max_clients=max_clients)
        self.key_header = key_header.lower().encode("latin-1") if key_header else None
        self.shared_store = shared_store
        self.clock = clock
        self.on_rejected = on_rejected
        self._next_warning = -math.inf
        self._store_paused_until = -math.inf

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or request_state(scope).route.access != "client":
            return self.app(scope, receive, send)
        return self._limited(scope, receive, send)

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope)
        now = self.clock()
        wait = self.buckets.take(key, now)
        if not wait and self.shared_store is not None and now >= self._store_paused_until:
            wait = await self._take_shared(self.shared_store, key)
        if wait:
            if self.on_rejected is not None:
                self.on_rejected("rate_limit")
            await send_error(scope, send, RateLimitedError(math.ceil(wait)))
            return
        await self.app(scope, receive, send)

    def _key(self, scope: Scope) -> str:
        if self.key_header is not None:
            value = header(scope, self.key_header)
            if value:
                # Hashed: secrets stay out of the table and the store, and a key has a fixed size.
                return "key:" + hashlib.blake2b(value, digest_size=16).hexdigest()
        client = scope.get("client")
        return "ip:" + (network_of(client[0]) if client else "unknown")

    async def _take_shared(self, store: SharedStore, key: str) -> float:
        name = f"drum-rate:{key}"
        try:
            raw = await store.get(name)
            bucket = _BUCKET.unpack(raw) if raw is not None and len(raw) == _BUCKET.size else None
            after, wait = self.buckets.spend(bucket, time.time())
            if not wait:
                await store.set(name, _BUCKET.pack(*after), expires_in=math.ceil(self.buckets.fill_seconds) + 1)
        except Exception as error:
            now = self.clock()
            self._store_paused_until = now + STORE_PAUSE
            if now >= self._next_warning:
                self._next_warning = now + _WARNING_INTERVAL
                _logger.warning("Rate limit store does not answer, limits are per process until it does: %r", error)
            return 0.0
        return wait


def network_of(host: str) -> str:
    """Return ``host`` as it is, or the /64 of an IPv6 address; an IPv4-mapped one becomes its IPv4 address."""
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host[:128]
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
