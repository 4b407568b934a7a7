"""What a soak writes while it runs, one JSON line each, and the result that is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec

LINES = "samples.jsonl"


class Header(msgspec.Struct, tag="header"):
    """The first line: what was started."""

    created: str
    machine: dict[str, str]
    settings: dict[str, str]
    """Environment variables of the server."""
    rate: float
    """Requests/s that were asked for."""
    minutes: float
    phase: float
    """Seconds of each phase, without and with faults in turn."""
    fault_interval: float
    """Seconds between two faults in a phase with faults."""
    deadline: float
    """Seconds after which a call is given up and its worker replaced."""


class ProcessSample(msgspec.Struct):
    """One process. Memory is in MiB."""

    pid: int
    rss: float
    pss: float
    uss: float
    fds: int
    """File descriptors without those of TCP connections, which the clients decide on."""
    connections: int
    """TCP sockets."""
    threads: int


class WorkerSample(ProcessSample):
    """A model worker. Its process is a new one after each fault."""

    age: float = 0.0
    """Seconds since its start."""
    calls: int = 0
    """Calls of the model's hooks so far."""


class Sample(msgspec.Struct, tag="sample"):
    """The server at one time. Counters are cumulative, latencies are those since the sample before."""

    at: float
    """Seconds since the start of the load."""
    faulty: bool
    """In a phase with faults."""
    http: ProcessSample
    workers: list[WorkerSample]
    cpu: float
    """CPU seconds of the server and all of its processes so far, ended ones too."""
    requests: int
    """Requests that were sent so far, those of the faults too."""
    answers: dict[str, dict[str, int]]
    """By kind of request and outcome."""
    faults: dict[str, int]
    """Faults that were caused so far."""
    restarts: dict[str, int]
    """Replaced workers by cause, as the server counts them."""
    good: int = 0
    """Answers with 200 to one row of CSV since the sample before."""
    p50: float | None = None
    """Latency of these in ms."""
    p99: float | None = None

    @property
    def crashes(self) -> int:
        """Workers that died or were stopped at a deadline."""
        return self.restarts.get("died", 0) + self.restarts.get("deadline", 0)


class Unexpected(msgspec.Struct, tag="unexpected"):
    """The first of the requests of a kind with an outcome that nothing announced."""

    at: float
    kind: str
    outcome: str
    example: str
    """The beginning of the answer, or the error."""


class Ended(msgspec.Struct, tag="ended"):
    """The last line, which a run that was killed lacks."""

    at: float
    exit_code: int | None
    """Of the server after SIGTERM, or None if it did not stop."""
    reloads: dict[str, int]
    """As the server counts them: ``succeeded``, ``failed``."""
    left: dict[str, int]
    """Counters of the idle server that should be zero."""
    log: list[str]
    """Lines of the server's log that name an error of its own."""


Record: TypeAlias = Header | Sample | Unexpected | Ended


class Recorder:
    """Appends records to the file of a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / LINES).open("wb")

    def add(self, record: Record) -> None:
        """Write one line, so that it survives the end of this process."""
        self._file.write(msgspec.json.encode(record) + b"\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Recorded(msgspec.Struct):
    """All records of a run."""

    header: Header
    samples: list[Sample]
    unexpected: list[Unexpected]
    ended: Ended | None = None


def read(folder: Path) -> Recorded:
    """The records of a run, which may still be going on: a last line that is cut off is left out.

    Raises OSError, and ValueError where there is no sample yet.
    """
    records = list(_lines((folder / LINES).read_bytes()))
    headers = [record for record in records if isinstance(record, Header)]
    samples = [record for record in records if isinstance(record, Sample)]
    if not headers or not samples:
        raise ValueError(f"{folder / LINES} has no sample yet")
    unexpected = [record for record in records if isinstance(record, Unexpected)]
    ended = [record for record in records if isinstance(record, Ended)]
    return Recorded(headers[0], samples, unexpected, ended[0] if ended else None)


def _lines(data: bytes) -> Iterator[Record]:
    decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Header | Sample | Unexpected | Ended)
    for line in data.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield decoder.decode(line)
