"""Rollout of a canary: share and duration of each step, rollback, and the state file. Independent of HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import msgspec

from drum_litestar.errors import UsageError
from drum_litestar.tools.compare.outcomes import Counters, Finding, Pair, percentiles
from drum_litestar.tools.compare.progress import LOGGER
from drum_litestar.tools.compare.verdict import Thresholds, broken


class Event(msgspec.Struct, frozen=True):
    """An event of the rollout: its time (UTC, ISO 8601), the share after it (percent), and a text."""

    at: str
    share: float
    text: str


class State(msgspec.Struct):
    """State that a restart needs. ``hold`` and ``held`` are seconds; ``step`` is an index into ``steps`` (percent)."""

    baseline: str
    candidate: str
    steps: tuple[float, ...]
    hold: float
    step: int = 0
    held: float = 0.0
    status: Literal["running", "complete", "rolled back"] = "running"
    reasons: list[str] = msgspec.field(default_factory=list)
    events: list[Event] = msgspec.field(default_factory=list)


class Rollout:
    """Advances through the steps with each :meth:`tick`, and rolls back when a threshold is broken.

    Each step is checked on its own requests and needs ``limits.samples`` of them before the next one. ``ended`` is
    called when the rollout has ended.
    """

    def __init__(self, path: Path, state: State, limits: Thresholds, ended: Callable[[], None]) -> None:
        self.total = Counters()
        self._window = Counters()
        self._path = path
        self._limits = limits
        self._ended = ended
        self._waiting = False
        self._saved = False
        self._warned = False
        self.state, self.resumed = _load(path, state)

    @property
    def share(self) -> float:
        """Current percentage of requests for the candidate."""
        if self.state.status == "rolled back":
            return 0.0
        return self.state.steps[self.state.step]

    @property
    def running(self) -> bool:
        return self.state.status == "running"

    def start(self) -> None:
        """Log the first step. Raises UsageError when the state file cannot be written."""
        if not self.resumed:
            self._log(f"{self._step()}: hold for {self.state.hold:g} s")
        elif self.running:
            left = max(self.state.hold - self.state.held, 0.0)
            self._log(f"resumed at {self._step()}: {left:g} s left to hold")
        else:
            self._log(f"{self.state.status} in an earlier run: {self.share:g} % to the candidate (see {self._path})")
            self._ended()

    def count(self, pair: Pair) -> None:
        self.total.count(pair)
        self._window.count(pair)
        if pair.new_error or pair.mismatch:
            self.judge()

    def tick(self, seconds: float) -> None:
        """Add ``seconds`` to the current step, and advance when it is complete."""
        self.judge()
        if not self.running:
            return
        self.state.held += seconds
        if self.state.held >= self.state.hold:
            compared = self._window.pairs - self._window.incomparable
            if compared >= self._limits.samples:
                self._advance()
            elif not self._waiting:
                self._waiting = True
                self._log(f"{self._step()}: held, waiting for traffic: {compared} of {self._limits.samples} requests")
        self._save()

    def judge(self) -> None:
        """Roll back when a threshold is broken."""
        problems = broken(self._window, self._limits) if self.running else []
        if not problems:
            return
        step, self.state.status = self._step(), "rolled back"
        self.state.reasons = [str(check) for check in problems]
        first = f"; first: {finding.request}: {finding.text}" if (finding := self._finding()) else ""
        self._log(f"ROLLED BACK from {step}: {'; '.join(self.state.reasons)}{first}", warning=True)
        self._ended()

    def _advance(self) -> None:
        window, latency = (
            self._window,
            [percentiles(side.latencies)["p99"] for side in (self._window.baseline, self._window.candidate)],
        )
        self._log(
            f"{self._step()} passed: {window.pairs} compared, {window.errors} errors, {window.mismatches} mismatches, "
            f"p99 {latency[0] * 1000:.2f} -> {latency[1] * 1000:.2f} ms"
        )
        self._window = Counters()
        self._waiting = False
        if self.state.step + 1 < len(self.state.steps):
            self.state.step += 1
            self.state.held = 0.0
            self._log(f"{self._step()}: hold for {self.state.hold:g} s")
            return
        self.state.status = "complete"
        self._log(f"COMPLETE: {self.share:g} % to the candidate")
        self._ended()

    def _finding(self) -> Finding | None:
        return next((each for each in self._window.findings if each.kind != "incomparable"), None)

    def _step(self) -> str:
        state = self.state
        return f"step {state.step + 1}/{len(state.steps)} ({state.steps[state.step]:g} %)"

    def _log(self, text: str, *, warning: bool = False) -> None:
        self.state.events.append(Event(datetime.now(timezone.utc).isoformat(timespec="milliseconds"), self.share, text))
        (LOGGER.warning if warning else LOGGER.info)("canary: %s", text)
        self._save()

    def _save(self) -> None:
        """Replace the file atomically. After the first write, a failure (a full disk) is only logged, once."""
        draft = self._path.with_name(self._path.name + ".new")
        try:
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(self.state), indent=2))
            draft.replace(self._path)
        except OSError as error:
            text = f"--state {self._path}: cannot be written: {error.strerror or error}"
            if not self._saved:
                raise UsageError(f"{text}. Name a file in a folder that can be written.") from error
            if not self._warned:
                LOGGER.warning("%s: a restart of this tool would not resume from here", text)
            self._warned = True
        else:
            self._saved, self._warned = True, False


def bucket(request_id: str) -> float:
    """Map a request id to a number in [0, 100). With a share of s percent the candidate gets the ids below s, so an id
    stays with the candidate as the share grows."""
    digest = hashlib.blake2b(request_id.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") * 100 / 2**64


def _load(path: Path, wanted: State) -> tuple[State, bool]:
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return wanted, False
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(
            f"--state {path}: cannot be read: {error}. Delete it, or use --restart, to begin with the first step."
        ) from error
    for name in ("baseline", "candidate", "steps"):
        found, requested = getattr(state, name), getattr(wanted, name)
        if found != requested:
            raise UsageError(
                f"--state {path}: belongs to another rollout ({name} {found}, not {requested}). "
                "Name another file, or use --restart to begin again."
            )
    state.hold = wanted.hold
    return state, True
