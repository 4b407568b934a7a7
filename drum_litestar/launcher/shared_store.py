"""The rate limit's store that several replicas share (``DRUM_RATE_LIMIT_STORE``): Redis, or Valkey."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from drum_litestar.errors import SettingsError
from drum_litestar.extras import require
from drum_litestar.name_clashes import own_modules
from drum_litestar.settings.masking import mask_structure

if TYPE_CHECKING:
    from litestar.stores.redis import RedisStore

NAMESPACE: Final = "DRUM_LITESTAR"

PATIENCE: Final = 0.25
"""Seconds for connecting and for each answer: every request waits for the store, so it must not wait long."""

_logger: Final = logging.getLogger(__name__)


class RedisRateLimitStore:
    """Litestar's Redis store with short timeouts, and the hooks that open and close it.

    A store that does not answer at the start is a warning, not an error, as it is later: while it is away each
    replica limits for itself (see ``RateLimitMiddleware``), and predictions go on.
    """

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises MissingExtraError without ``redis``, SettingsError for a URL it refuses."""
        redis = require("redis.asyncio", "DRUM_RATE_LIMIT_STORE", "redis")
        with own_modules():
            from litestar.stores.redis import RedisStore
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self.place = mask_structure(url)
        options: dict[str, Any] = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
        try:
            # A second attempt would come when the request has already waited long enough.
            self._client = redis.Redis.from_url(redis_url(url), retry=Retry(NoBackoff(), 0), **options)
        except ValueError as error:
            raise SettingsError(f"DRUM_RATE_LIMIT_STORE='{self.place}' cannot be used: {error}") from None
        self.store: RedisStore = RedisStore(self._client, namespace=NAMESPACE)

    async def open(self, _: object = None) -> None:
        """Say whether the store answers."""
        try:
            await self._client.ping()
        except Exception as error:
            _logger.warning(
                "DRUM_RATE_LIMIT_STORE: %s does not answer (%s); until it does, each replica limits for itself",
                self.place,
                error,
            )
        else:
            _logger.info("Rate limits are shared through %s", self.place)

    async def close(self, _: object = None) -> None:
        """Close the connections."""
        await self._client.aclose()


def redis_url(url: str) -> str:
    """``url`` in the words of the Redis client, which speaks Valkey's protocol but does not know its scheme."""
    scheme, colon, rest = url.partition(":")
    return {"valkey": "redis", "valkeys": "rediss"}.get(scheme.lower(), scheme) + colon + rest
