"""Slow loris: many connections that stay silent or drip, while probes and a good client go on.

``python benchmarks/costs/slow_loris.py HOST:PORT [--connections 1000] [--limit 30]`` opens the connections to a running
server (a third silent, a third dripping a head, a third dripping a body), asks ``/livez`` on new connections all the
while, and reports the probes' latency and when each connection was closed. ``--limit`` is the server's
``DRUM_UVICORN_HEADER_TIMEOUT`` and ``_BODY_TIMEOUT``. Exit code 1 when the p99 of the probes is above 20 ms or a
connection outlived the limit by more than two seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from collections import Counter

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
BODY = b"POST /predict/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 1000000\r\n\r\n"
PROBE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SLACK = 2.0


async def attack(host: str, port: int, kind: str, limit: float) -> tuple[str, float]:
    """One slow connection: how it ended, and after how many seconds."""
    reader, writer = await asyncio.open_connection(host, port)
    began = time.monotonic()
    try:
        if kind == "head":
            writer.write(HEAD)
            dripping = asyncio.ensure_future(drip(writer, b"X-A: b\r\n", limit / 20))
        elif kind == "body":
            writer.write(BODY + b"a,b\n")
            dripping = asyncio.ensure_future(asyncio.sleep(0))  # sends nothing more
        else:
            dripping = asyncio.ensure_future(asyncio.sleep(0))
        try:
            answer = await asyncio.wait_for(reader.read(), limit * 2 + 10)
        except asyncio.TimeoutError:
            return "never closed", time.monotonic() - began
        finally:
            dripping.cancel()
    except OSError:
        answer = b""
    finally:
        writer.close()
    status = answer[9:12].decode("latin-1") if answer else "closed"
    return f"{kind or 'silent'}: {status}", time.monotonic() - began


async def drip(writer: asyncio.StreamWriter, piece: bytes, pause: float) -> None:
    while not writer.is_closing():
        writer.write(piece)
        await asyncio.sleep(pause)


async def probe(host: str, port: int) -> float:
    """Seconds for one probe on a connection of its own."""
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(PROBE)
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the probe got {answer[:100]!r}")
    return (time.perf_counter() - began) * 1000


async def run(host: str, port: int, connections: int, limit: float, pause: float) -> int:
    quiet = [await probe(host, port) for _ in range(200)]
    kinds = ["", "head", "body"]
    attackers = [asyncio.ensure_future(attack(host, port, kinds[number % 3], limit)) for number in range(connections)]
    await asyncio.sleep(1)  # opening the connections is not part of the measurement
    latencies = []
    while not all(task.done() for task in attackers):
        latencies.append(await probe(host, port))
        await asyncio.sleep(pause)
    ends = [task.result() for task in attackers]
    late = [end for end in ends if end[1] > limit + SLACK]
    print(f"probes before: p50 {percentile(quiet, 50):.1f} ms, p99 {percentile(quiet, 99):.1f} ms")
    print(
        f"probes under {connections} slow connections: {len(latencies)}, p50 {percentile(latencies, 50):.1f} ms, "
        f"p99 {percentile(latencies, 99):.1f} ms, max {max(latencies):.1f} ms"
    )
    for kind, count in sorted(Counter(kind for kind, _ in ends).items()):
        times = [seconds for each, seconds in ends if each == kind]
        print(f"  {kind}: {count} connections, after {min(times):.1f} to {max(times):.1f} s")
    print(f"closed late: {len(late)}")
    return int(bool(late) or percentile(latencies, 99) > 20)


def percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", help="HOST:PORT of a running server")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--limit", type=float, default=30.0, help="the server's header and body timeouts, in seconds")
    parser.add_argument("--pause", type=float, default=0.005, help="seconds between two probes")
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < args.connections + 100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, args.connections + 100), hard))
    host, _, port = args.address.rpartition(":")
    sys.exit(asyncio.run(run(host, int(port), args.connections, args.limit, args.pause)))


if __name__ == "__main__":
    main()
