from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from litestar.stores.memory import MemoryStore

from asgi_calls import Answer, ask, call, http_scope, replying
from drum_litestar.middleware.rate_limit import RateLimitMiddleware, TokenBuckets, network_of
from routed import routed
from support.servers.redis_server import redis_server


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def limited(clock: Clock, **options: Any) -> RateLimitMiddleware:
    options = {"rpm": 60, "burst": 3, **options}
    return RateLimitMiddleware(replying(), clock=clock, **options)


def from_client(app: RateLimitMiddleware, host: str = "192.0.2.1", path: str = "/predict/", **fields: Any) -> Answer:
    return ask(app, http_scope(path, client=(host, 1), **fields))


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    reasons: list[str] = []
    app = limited(clock, on_rejected=reasons.append)
    assert [from_client(app).status for _ in range(4)] == [200, 200, 200, 429]
    assert reasons == ["rate_limit"]
    clock.now += 0.9
    assert from_client(app).status == 429
    clock.now += 0.1
    assert [from_client(app).status for _ in range(2)] == [200, 429]
    clock.now += 3600
    assert [from_client(app).status for _ in range(4)] == [200, 200, 200, 429]


def test_the_refusal_has_a_retry_after() -> None:
    app = limited(Clock(), rpm=12, burst=1)
    from_client(app)
    answer = from_client(app)
    assert answer.body == b'{"message":"Rate limit exceeded","retry_after":5}\n'
    assert answer.header(b"retry-after") == b"5"


def test_clients_do_not_share_a_bucket_and_probes_cost_nothing() -> None:
    app = limited(Clock(), burst=1)
    assert [from_client(app, host).status for host in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [200, 200, 429]
    assert [ask(routed(app), http_scope("/ping")).status for _ in range(5)] == [200] * 5


def test_a_forged_forwarded_for_changes_nothing() -> None:
    app = limited(Clock(), burst=1)
    statuses = [from_client(app, headers=[(b"x-forwarded-for", f"203.0.113.{n}".encode())]).status for n in range(2)]
    assert statuses == [200, 429]


def test_a_key_header_names_the_client() -> None:
    app = limited(Clock(), burst=1, key_header="X-API-Key")
    statuses = [from_client(app, headers=[(b"x-api-key", key)]).status for key in (b"a", b"b", b"a")]
    assert statuses == [200, 200, 429]
    assert from_client(app).status == 200  # without the header the address counts
    assert not {"key:a", "key:b"} & set(app.buckets._table)  # secrets are hashed


def test_networks() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::") == "2001:db8:1:2::"
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("fe80::1%eth0") == "fe80::"
    assert network_of("not:an:address" * 100) == ("not:an:address" * 100)[:128]
    assert ask(limited(Clock()), http_scope(client=None)).status == 200


def test_the_table_is_bounded_and_drops_the_least_recently_used() -> None:
    buckets = TokenBuckets(rpm=60, burst=2, max_clients=3)
    for moment, key in enumerate("aabca"):
        buckets.take(key, moment / 1000)
    buckets.take("d", 0.005)  # the fourth client: b was silent longest
    assert len(buckets) == 3
    assert list(buckets._table) == ["c", "a", "d"]
    assert buckets.take("a", 0.006) > 0
    assert buckets.take("b", 0.006) == 0


def test_full_buckets_are_dropped() -> None:
    buckets = TokenBuckets(rpm=60, burst=2)
    for n in range(100):
        buckets.take(f"client {n}", 0.0)
    buckets.take("late", 2.0)
    assert len(buckets) == 1


def test_a_million_clients_cost_no_more_than_the_table() -> None:
    buckets = TokenBuckets(rpm=1, burst=1, max_clients=1000)
    for n in range(20_000):
        buckets.take(str(n), n / 1e6)
    assert len(buckets) == 1000


def test_replicas_share_a_store() -> None:
    async def main() -> list[int]:
        store = MemoryStore()
        replicas = [limited(Clock(), shared_store=store) for _ in range(3)]
        turns = itertools.islice(itertools.cycle(replicas), 6)
        return [(await call(replica, http_scope())).status for replica in turns]

    assert asyncio.run(main()) == [200, 200, 200, 429, 429, 429]


def test_without_its_store_a_replica_limits_alone(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    class Broken:
        async def get(self, key: str) -> bytes | None:
            asked.append(key)
            raise ConnectionError("gone")

        async def set(self, key: str, value: bytes, expires_in: int) -> None:
            raise AssertionError

    clock = Clock()
    app = limited(clock, shared_store=Broken())
    assert [from_client(app).status for _ in range(4)] == [200, 200, 200, 429]
    assert len(caplog.records) == len(asked) == 1  # not for each request
    clock.now += 61
    from_client(app)
    assert len(caplog.records) == len(asked) == 2


def test_an_invalid_value_in_the_store_is_a_full_bucket() -> None:
    async def main() -> int:
        store = MemoryStore()
        await store.set("drum-rate:ip:192.0.2.1", b"rubbish")
        return (await call(limited(Clock(), shared_store=store), http_scope())).status

    assert asyncio.run(main()) == 200


def test_replicas_share_a_real_redis(tmp_path: Path) -> None:
    redis_store = pytest.importorskip("litestar.stores.redis").RedisStore

    async def main(port: int) -> list[int]:
        url = f"redis://127.0.0.1:{port}"
        one, other = redis_store.with_client(url), redis_store.with_client(url)
        async with one, other:
            replicas = [limited(Clock(), shared_store=store) for store in (one, other)]
            turns = itertools.islice(itertools.cycle(replicas), 5)
            statuses = [(await call(replica, http_scope())).status for replica in turns]
            assert await one.expires_in("drum-rate:ip:192.0.2.1") in (3, 4)
            return statuses

    with redis_server(tmp_path) as port:
        assert asyncio.run(main(port)) == [200, 200, 200, 429, 429]
