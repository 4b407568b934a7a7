"""Rate-limit store that several replicas share (``DRUM_RATE_LIMIT_STORE``): Redis or Valkey."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from drum_litestar.errors import SettingsError
from drum_litestar.extras import require
from drum_litestar.http.app_options import AppOptions
from drum_litestar.name_clashes import own_modules
from drum_litestar.settings.masking import mask_structure

if TYPE_CHECKING:
    from litestar.stores.redis import RedisStore

NAMESPACE: Final = "DRUM_LITESTAR"

TIMEOUT: Final = 0.25
"""Timeout in seconds of connecting and of each command. It is short because every request waits for the store."""

_logger: Final = logging.getLogger(__name__)


class RedisRateLimitStore:
    """Litestar's Redis store with short timeouts, and the hooks that open and close it.

    A store that does not answer is a warning, not an error, at the start and later: meanwhile each replica applies the
    limit by itself (see ``RateLimitMiddleware``).
    """

    def __init__(self, url: str) -> None:
        """Does not connect. Raises MissingExtraError without ``redis``, SettingsError for an invalid URL."""
        redis = require("redis.asyncio", "DRUM_RATE_LIMIT_STORE", "redis")
        with own_modules():
            from litestar.stores.redis import RedisStore
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self.address = mask_structure(url)
        options: dict[str, Any] = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
        try:
            # No retry: the request has already waited for the timeout.
            self._client = redis.Redis.from_url(redis_url(url), retry=Retry(NoBackoff(), 0), **options)
        except ValueError as error:
            raise SettingsError(f"DRUM_RATE_LIMIT_STORE='{self.address}' cannot be used: {error}") from None
        self.store: RedisStore = RedisStore(self._client, namespace=NAMESPACE)

    def add_to(self, options: AppOptions) -> AppOptions:
        """``options`` with the hooks that open and close the store."""
        return replace(
            options, on_startup=(*options.on_startup, self.open), on_shutdown=(*options.on_shutdown, self.close)
        )

    async def open(self, _: object = None) -> None:
        """Log whether the store answers."""
        try:
            await self._client.ping()
        except Exception as error:
            _logger.warning(
                "DRUM_RATE_LIMIT_STORE: %s does not answer (%s); until it does, each replica limits for itself",
                self.address,
                error,
            )
        else:
            _logger.info("Rate limits are shared through %s", self.address)

    async def close(self, _: object = None) -> None:
        """Close the connections."""
        await self._client.aclose()


def redis_url(url: str) -> str:
    """Replace Valkey's URL schemes by Redis's, which is the same protocol and all that the client accepts."""
    scheme, colon, rest = url.partition(":")
    return {"valkey": "redis", "valkeys": "rediss"}.get(scheme.lower(), scheme) + colon + rest
