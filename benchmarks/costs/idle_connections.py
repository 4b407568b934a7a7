"""What idle keep-alive connections cost: memory of the HTTP process, latency of probes, and time to close them all.

    python benchmarks/costs/idle_connections.py [--connections 10000] [--probes 500]

Starts a server, opens the connections, asks ``/livez`` once on each and leaves them idle; then asks for ``/livez`` on
new connections, on the main port and on that of the probes, and sends predictions. The hard limit of open files must
be above the number of connections. Exit code 1 when a connection is not open any more at the end, or the server does
not stop well.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.servers.faults import FaultyServer, encoded, faults_of, order
from support.servers.process import free_port
from support.zoo import Zoo

MEGABYTE = 1000 * 1000
AT_ONCE = 200
PROBE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"


async def idle(port: int, gate: asyncio.Semaphore) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has had one answer."""
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
        writer.write(PROBE)
        await reader.readuntil(b'{"message":"OK"}')
    return reader, writer


async def latencies(port: int, request: bytes, count: int) -> str:
    """p50, p99 and largest of ``count`` requests, each on a connection of its own, one after the other."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found.append((time.perf_counter() - began) * 1000)
        writer.close()
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"unexpected answer {head!r}")
        await asyncio.sleep(0.005)
    found.sort()
    return f"p50 {found[count // 2]:.1f} ms, p99 {found[count * 99 // 100]:.1f} ms, max {found[-1]:.1f} ms"


async def report(port: int, probes: int, count: int) -> None:
    print(f"  /livez, main port:      {await latencies(port, PROBE, count)}")
    print(f"  /livez, probes' port:   {await latencies(probes, PROBE, count)}")
    print(f"  predictions of one row: {await latencies(port, encoded(order('echo', 7)), count)}", flush=True)


async def measure(server: FaultyServer, probes: int, args: argparse.Namespace) -> None:
    """Print the figures."""
    port, process = server.port, psutil.Process(server.pid)
    print("no other connections")
    await report(port, probes, args.probes)
    before = process.memory_info().rss
    began = time.monotonic()
    gate = asyncio.Semaphore(AT_ONCE)
    pairs = await asyncio.gather(*(idle(port, gate) for _ in range(args.connections)))
    seconds = time.monotonic() - began
    after = process.memory_info().rss
    print(f"{args.connections:,} idle connections, opened in {seconds:.1f} s")
    each = (after - before) / args.connections
    print(f"  memory: {before / MEGABYTE:.1f} MB before, {after / MEGABYTE:.1f} MB now; {each:,.0f} bytes each")
    cpu = process.cpu_times()
    await asyncio.sleep(10)
    now = process.cpu_times()
    print(f"  CPU: {(now.user + now.system - cpu.user - cpu.system) * 1000:.0f} ms in 10 s")
    await report(port, probes, args.probes)
    gone = sum(reader.at_eof() for reader, _ in pairs)
    if gone:
        raise RuntimeError(f"{gone} connections were closed")
    began = time.monotonic()
    process.terminate()
    code = await asyncio.to_thread(server.server.wait_exit)
    print(f"SIGTERM: all closed, exit code {code} after {time.monotonic() - began:.1f} s")
    for _, writer in pairs:
        writer.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--probes", type=int, default=500, help="requests of each kind")
    args = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    probes = free_port()
    env = {"DRUM_PROBE_ADDRESS": f"127.0.0.1:{probes}", "DRUM_UVICORN_KEEP_ALIVE": "3600"}
    with tempfile.TemporaryDirectory(prefix="idle-") as home:
        models = Path(home) / "models"
        models.mkdir()
        for faults in faults_of(Zoo(models), Path(home)):
            asyncio.run(measure(faults.start(env=env), probes, args))
    return 0


if __name__ == "__main__":
    sys.exit(main())
