"""The report's text and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.report.lead import lead
from benchmarks.report.result import Result
from benchmarks.report.tables import failures, glance, losses, scenario_table, servers, table
from benchmarks.workload.scenarios import KINDS

READING = """Each figure is the median over the rounds, with the least and the greatest in brackets. Within a round
the servers take their turns one after the other, then the next round repeats that (A B A B). **x DRUM** is the ratio
to DRUM on gunicorn's sync worker, its default, in the same run; of ms, below 1 is faster. Closed loop (wrk): every
connection asks again when it has its answer. Open loop: requests come at a constant rate whatever the server does,
and latency counts from the moment a request was due. Errors are answers that were no 200 and connections that broke.
**Of the limit**: of the calls/s that our predictor does in a plain loop without any server, times the workers, with
its shortcuts; the loop without them uses public interfaces of pandas and the frameworks only. A server that merges
waiting requests into one call can exceed both. CPU: seconds of all processes of the server for 1,000 requests.
Memory: proportional set size (PSS) of all its processes. Every server runs with `OMP_NUM_THREADS=1`. LitServe,
MLServer, BentoML, Mosec, KServe's SDK, MLflow and plain Ray Serve get the same rows as JSON, as their own clients would
send them."""
SENT = """Requests of one row are 64 different ones in turn, those of 100 rows four, the same for every server. This
server has its default settings, but for what its other names say."""
"""Not so in results that do not name their data."""
CAPTIONS = {
    "overview": "How many times as good as DRUM (gunicorn, sync) in each scenario; left of the line is worse.",
    "throughput": "Closed loop, requests/s: median, least and greatest of the rounds. Dashed: the plain loop's limit, "
    "black with shortcuts, red without.",
    "latency": "Open loop: p50 (dot) to p99 (end of the line) at the same constant rate for every server.",
    "special": "Chat streams, probes beside a model that holds the interpreter's lock, a 100 MB upload, and calls that "
    "hang.",
    "life": "Requests that a rolling restart lost; time to the first prediction and memory with a model of 1 GB.",
    "resources": "Time to the first prediction, memory, and CPU time: one worker, the ridge model.",
}


def render(result: Result, plots: Sequence[str]) -> str:
    """The whole ``report.md``; ``plots`` are file names beside it."""
    return "\n\n".join(block.strip() for block in _blocks(result, plots) if block.strip()) + "\n"


def _blocks(result: Result, plots: Sequence[str]) -> Iterable[str]:
    yield f"# Benchmark of {result.created[:16].replace('T', ' ')} UTC"
    described = {**result.machine, **result.settings}
    yield "\n".join(f"- {name}: {value}" for name, value in described.items())
    yield f"Command: `{result.commands.get('this run', '')}`"
    if first := lead(result):
        yield "## Against DRUM"
        yield first
    yield "## How to read it"
    yield f"{READING} {SENT}" if result.data else READING
    yield "## At a glance"
    yield from (_image(plot) for plot in plots if plot.startswith("overview"))
    yield glance(result)
    yield "## Where this server loses"
    yield losses(result)
    yield "## What did not run"
    yield failures(result)
    for kind, words in KINDS.items():
        names = [name for name in result.scenarios() if result.described[name].kind == kind]
        if not names:
            continue
        yield f"## {words[0].upper()}{words[1:]}"
        for name in names:
            yield f"### {name}"
            yield result.described[name].note
            yield scenario_table(result, name)
            yield _absent(result, name)
    yield "## Plots"
    yield from (_image(plot) for plot in plots if not plot.startswith("overview"))
    yield "## The servers"
    yield servers(result)
    yield _commands(result)


def _image(plot: str) -> str:
    caption = CAPTIONS[plot.partition(".")[0]]
    return f"![{caption}]({plot})\n\n*{caption}*"


def _absent(result: Result, scenario: str) -> str:
    """Contenders that do not support the scenario, and why."""
    lines = [
        f"n/a: {result.contenders[absence.contender]} ({absence.why})"
        for absence in result.absences
        if absence.expected and absence.scenario == scenario
    ]
    return "  \n".join(lines)


def _commands(result: Result) -> str:
    rows = [[result.contenders[name], f"`{words}`"] for name, words in result.commands.items() if name != "this run"]
    return "Commands:\n\n" + table(["server", "command (first start)"], rows) if rows else ""
