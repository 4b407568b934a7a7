"""``DRUM_RATE_LIMIT_STORE`` end to end: two servers and a real Redis, which stops and starts again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.servers.backends import console_script
from support.servers.process import ServerProcess, clean_environment
from support.servers.redis_server import redis_server
from support.wire import Request, get

pytest.importorskip("redis", reason="needs the extra redis")

LIMITED = {"DRUM_RATE_LIMIT_ENABLED": "true", "DRUM_RATE_LIMIT_RPM": "1", "DRUM_RATE_LIMIT_BURST": "4"}
UNKNOWN = get("/no-such-route")  # costs a token like any route that is no probe, and no model


def statuses(server: ServerProcess, request: Request, times: int) -> list[int]:
    return [server.send(request).status for _ in range(times)]


def test_replicas_share_their_limits_while_the_store_is_there(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    with redis_server(tmp_path, None, "--requirepass", "s3cret") as port:
        env = {**LIMITED, "DRUM_RATE_LIMIT_STORE": f"redis://:s3cret@127.0.0.1:{port}/0"}
        one, other = (
            serve("regression", executor="inline", env=env, arguments=["--logging-level", "info"]) for _ in "ab"
        )
        assert statuses(one, UNKNOWN, 3) == [404, 404, 404]
        assert statuses(other, UNKNOWN, 2) == [404, 429]
        assert statuses(other, get("/livez"), 5) == [200] * 5
        one.wait_output(f"Rate limits are shared through redis://*****@127.0.0.1:{port}/0")
    # Without the store the tokens left in the local buckets count.
    assert statuses(other, UNKNOWN, 4) == [404, 404, 429, 429]
    other.wait_output("Rate limit store does not answer")
    assert "s3cret" not in one.output() + other.output()


def test_a_store_that_is_away_at_the_start_is_a_warning(serve: Callable[..., ServerProcess]) -> None:
    store = "redis://user:s3cret@127.0.0.1:9/0"  # the discard port, which has no listener
    server = serve("regression", executor="inline", env={**LIMITED, "DRUM_RATE_LIMIT_STORE": store})
    assert statuses(server, UNKNOWN, 5) == [404, 404, 404, 404, 429]
    assert "redis://*****@127.0.0.1:9/0 does not answer" in server.output()
    assert "s3cret" not in server.output()


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    command = [console_script(), "server", "-cd", str(tmp_path), "--address", "127.0.0.1:0"]
    env = clean_environment({**LIMITED, "DRUM_RATE_LIMIT_STORE": "memcached://127.0.0.1"})
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "DRUM_RATE_LIMIT_STORE must begin with one of redis://" in done.stderr
