"""How long requests take when a share of the slots is busy: a simulation with measured service times.

    python -m benchmarks.costs.waiting_time [--scenario 'mixed, 1 row, c=16'] [--plot waiting.svg]

Starts the server, takes the times of calls sent one after the other (the model and the HTTP process), and lets requests
arrive at random (Poisson) at 1 to 64 slots with one queue, first come first served. A slot is a worker, or one of its
threads. No call is merged with others, so a model whose calls are batched waits less. Then it shares 16 slots out among
pods, each with a queue of its own, behind a balancer that picks one at random or the one with the fewest requests.
Prints the p50 and p99 of the whole time in multiples of the mean service time, at several utilisations; ``exponential``
is a model whose times vary as much as their mean (text generation is like that, with longer ones).
"""

from __future__ import annotations

import argparse
import heapq
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders.base import drum_request
from benchmarks.contenders.drum import settings, words
from benchmarks.servers.server_process import free_port, running
from benchmarks.workload.models import model_folder
from benchmarks.workload.scenarios import BY_NAME

Times = NDArray[np.float64]

SLOTS = (1, 2, 4, 16, 64)
UTILISATIONS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
ARRIVALS = 400_000
WARM_UP = 50_000
"""Arrivals that are left out: the queue begins empty."""

SHARED_OUT = 16
"""Slots of the table of pods."""
PODS = (1, 4, 16)


def simulate(service: Times, slots: int, utilisation: float, rng: np.random.Generator) -> Times:
    """Time of each request in the system, in seconds.

    ``service`` are times to choose from at random; ``utilisation`` is the share of the slots' time that is used.
    """
    times = rng.choice(service, ARRIVALS)
    arrivals = np.cumsum(rng.exponential(service.mean() / slots / utilisation, ARRIVALS))
    free = [0.0] * slots  # when each slot is free again: a heap
    ends = np.empty(ARRIVALS)
    for number, (arrival, seconds) in enumerate(zip(arrivals.tolist(), times.tolist(), strict=True)):
        ends[number] = end = max(arrival, free[0]) + seconds
        heapq.heapreplace(free, end)
    result: Times = (ends - arrivals)[WARM_UP:]
    return result


def simulate_pods(service: Times, slots: int, utilisation: float, rng: np.random.Generator, pods: int) -> Times:
    """As :func:`simulate`, with the slots in so many pods and each request sent to the one that has the fewest."""
    times = rng.choice(service, ARRIVALS)
    arrivals = np.cumsum(rng.exponential(service.mean() / slots / utilisation, ARRIVALS))
    free = [[0.0] * (slots // pods) for _ in range(pods)]
    leaving: list[list[float]] = [[] for _ in range(pods)]  # ends of the requests in each pod: a heap
    ends = np.empty(ARRIVALS)
    first = rng.integers(pods, size=ARRIVALS).tolist()  # where the search begins, so that ties are spread
    for number, (arrival, seconds) in enumerate(zip(arrivals.tolist(), times.tolist(), strict=True)):
        for inside in leaving:
            while inside and inside[0] <= arrival:
                heapq.heappop(inside)
        pod = min(range(pods), key=lambda pod: (len(leaving[pod]), (pod - first[number]) % pods))
        ends[number] = end = max(arrival, free[pod][0]) + seconds
        heapq.heapreplace(free[pod], end)
        heapq.heappush(leaving[pod], end)
    result: Times = (ends - arrivals)[WARM_UP:]
    return result


def measure(scenario: str, calls: int) -> Times:
    """Times of ``calls`` sequential calls of a server with one worker, in seconds."""
    chosen = BY_NAME[scenario]
    request = drum_request(chosen)
    with tempfile.TemporaryDirectory() as home:
        folder = model_folder(chosen.model, Path(home), Path(sys.executable))
        port = free_port()
        command = words(str(Path(sysconfig.get_path("scripts"), "drum-litestar")), folder, chosen, port)
        with running(command, settings(chosen), port, request.to_urllib(port)), httpx.Client() as client:
            url = f"http://127.0.0.1:{port}{request.path}"
            taken = []
            for number in range(calls + calls // 10):
                body = request.bodies[number % len(request.bodies)]
                began = time.perf_counter()
                client.post(url, content=body, headers=request.headers).raise_for_status()
                taken.append(time.perf_counter() - began)
    return np.array(taken[calls // 10 :])


def table(service: Times, rng: np.random.Generator) -> str:
    """p50 and p99 in multiples of the mean service time, as Markdown."""
    lines = ["| slots | " + " | ".join(f"{share:.0%} busy" for share in UTILISATIONS) + " |"]
    lines.append("|---" * (len(UTILISATIONS) + 1) + "|")
    for slots in SLOTS:
        cells = []
        for share in UTILISATIONS:
            p50, p99 = np.quantile(simulate(service, slots, share, rng), (0.5, 0.99)) / service.mean()
            cells.append(f"{p50:.1f} / {p99:.1f}")
        lines.append(f"| {slots} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def pods_table(service: Times, rng: np.random.Generator) -> str:
    """p99 in multiples of the mean service time, of the same slots in more and more pods, as Markdown."""
    lines = [
        f"| {SHARED_OUT} slots in | balancer | " + " | ".join(f"{share:.0%} busy" for share in UTILISATIONS) + " |"
    ]
    lines.append("|---" * (len(UTILISATIONS) + 2) + "|")
    for pods in PODS:
        for balancer in ("at random", "fewest requests") if pods > 1 else ("",):
            cells = []
            for share in UTILISATIONS:
                if balancer == "fewest requests":
                    taken = simulate_pods(service, SHARED_OUT, share, rng, pods)
                else:  # a random part of random arrivals is random arrivals
                    taken = simulate(service, SHARED_OUT // pods, share, rng)
                cells.append(f"{np.quantile(taken, 0.99) / service.mean():.1f}")
            lines.append(f"| {pods} pod{'s' if pods > 1 else ''} | {balancer} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(service: dict[str, Times], path: Path, rng: np.random.Generator) -> None:
    """p99 against utilisation, a panel for each kind of model and a line for each number of slots."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(service), figsize=(4 * len(service), 3.2), sharey=True, layout="constrained"
    )
    shares = np.linspace(0.1, 0.95, 12)
    for axes, (name, times) in zip(np.atleast_1d(panels), service.items(), strict=True):
        for slots in SLOTS:
            p99 = [float(np.quantile(simulate(times, slots, share, rng), 0.99)) / times.mean() for share in shares]
            axes.plot(shares * 100, p99, label=f"{slots} slot{'s' if slots > 1 else ''}")
        axes.set(title=name, xlabel="slots in use, %", yscale="log")
        axes.grid(visible=True, alpha=0.3)
    np.atleast_1d(panels)[0].set_ylabel("p99, multiples of the mean service time")
    np.atleast_1d(panels)[0].legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scenario", action="append", help="of the benchmarks; may be repeated")
    parser.add_argument("--calls", type=int, default=2000, help="measured for each scenario (default: %(default)s)")
    parser.add_argument("--plot", type=Path, help="write p99 against utilisation there")
    args = parser.parse_args()
    rng = np.random.default_rng(7)
    service = {
        name.partition(", c=")[0]: measure(name, args.calls)
        for name in args.scenario or ("mixed, 1 row, c=16", "forest, 1 row, c=16")
    }
    service["exponential"] = rng.exponential(1.0, 100_000)
    for name, times in service.items():
        mean, p99 = times.mean() * 1000, float(np.quantile(times, 0.99)) * 1000
        said = (
            "" if name == "exponential" else f": mean {mean:.2f} ms, p99 {p99:.2f} ms, {1000 / mean:.0f} calls/s a slot"
        )
        print(f"\n{name}{said}; p50 / p99 in multiples of the mean\n\n{table(times, rng)}")
        print(f"\np99 in multiples of the mean\n\n{pods_table(times, rng)}")
    if args.plot is not None:
        plot(service, args.plot, rng)


if __name__ == "__main__":
    main()
