"""The four modes: replay, record, shadow and canary, from start to report."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Final

import msgspec

from drum_litestar.errors import UsageError
from drum_litestar.tools.compare.corpus import read_corpus
from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.live.canary import Canary
from drum_litestar.tools.compare.live.proxy import Proxy
from drum_litestar.tools.compare.live.proxy_server import listen, serve
from drum_litestar.tools.compare.live.recording import Recorder
from drum_litestar.tools.compare.live.rollout import Event
from drum_litestar.tools.compare.live.shadow import Shadow
from drum_litestar.tools.compare.outcomes import Counters
from drum_litestar.tools.compare.progress import LOGGER, log_lines, progress
from drum_litestar.tools.compare.replay import Replay
from drum_litestar.tools.compare.reports import junit, text
from drum_litestar.tools.compare.reports.summary import Summary, series, summarise
from drum_litestar.tools.compare.upstream import Upstream
from drum_litestar.tools.compare.verdict import Check, Thresholds, judge, success

CANARY_SAMPLES: Final = 100
"""With fewer requests a p99 is little more than the slowest request."""


async def run(args: argparse.Namespace) -> int:
    """Run the mode that ``args`` selects and return the exit code. Raises UsageError when it cannot start."""
    return await Session(args).run()


class Session:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.clock = time.monotonic()
        self.baseline = Upstream("baseline", args.baseline, timeout=args.timeout, ca_file=args.ca_file)
        self.candidate = Upstream(
            "candidate", args.candidate or args.baseline, timeout=args.timeout, ca_file=args.ca_file
        )
        self.comparison = Comparison(args.rtol, args.atol, args.compare_headers, tuple(args.ignore), args.skip)
        self.limits = Thresholds(
            error_rate=args.max_error_rate,
            p99_increase=args.max_p99_increase,
            mismatches=args.max_mismatches,
            latency_slack=args.latency_slack,
            samples=args.min_requests or (CANARY_SAMPLES if args.canary else 1),
        )

    async def run(self) -> int:
        args = self.args
        mode = (
            self._replay
            if args.corpus
            else self._record
            if args.record
            else self._shadow
            if args.shadow
            else self._canary
        )
        try:
            with log_lines(quiet=args.quiet):
                return await mode()
        finally:
            await self.baseline.close()
            await self.candidate.close()

    async def _replay(self) -> int:
        args = self.args
        corpus = read_corpus(args.corpus)
        await self._reach(self.baseline)
        await self._reach(self.candidate)
        replay = Replay(
            self.baseline, self.candidate, self.comparison,
            concurrency=args.concurrency, repeat=args.repeat, warmup=args.warmup, headers=tuple(args.header),
        )  # fmt: skip
        total = len(corpus) * args.repeat
        with progress(total, "replaying", quiet=args.quiet) as advance:
            counters = await replay.run(corpus, advance)
        notes = [f"stopped after {counters.pairs} of {total} requests: {replay.stopped}"] if replay.stopped else []
        return self._report("replay", counters, [*judge(counters, self.limits), success(counters)], notes=notes)

    async def _record(self) -> int:
        args = self.args
        await self._reach(self.baseline)
        recorder = Recorder(
            self.baseline, args.record,
            keep_secrets=args.keep_secrets, max_requests=args.max_requests, duration=args.duration,
        )  # fmt: skip
        await self._serve(recorder)
        print(f"{recorder.status()}: {args.record}")
        return 0

    async def _shadow(self) -> int:
        args = self.args
        await self._reach(self.baseline)
        if (failure := await self.candidate.check_reachable()) is not None:
            LOGGER.warning(
                "--candidate %s does not answer (%s): clients are served all the same", args.candidate, failure
            )
        shadow = Shadow(
            self.baseline, self.candidate, self.comparison,
            queue_size=args.queue_size, workers=args.copies, max_requests=args.max_requests, duration=args.duration,
        )  # fmt: skip
        await self._serve(shadow)
        checks = judge(shadow.counters, self.limits)
        return self._report("shadow", shadow.counters, checks, notes=_live_notes(shadow.counters))

    async def _canary(self) -> int:
        args = self.args
        if args.restart:
            args.state.unlink(missing_ok=True)
        canary = Canary(
            self.baseline, self.candidate, self.comparison, self.limits,
            steps=args.canary, hold=args.hold, state_file=args.state, exit_when_done=args.exit_when_done,
            queue_size=args.queue_size, workers=args.copies,
        )  # fmt: skip
        await self._reach(self.baseline)
        if not canary.rollout.resumed:  # a resumed one must serve its clients, from the baseline if need be
            await self._reach(self.candidate)
        await self._serve(canary)
        state = canary.rollout.state
        outcome = Check("rollout", state.status == "complete", state.status, "complete")
        if state.status == "running":
            LOGGER.warning("the rollout is not finished: the same command resumes it (state in %s)", args.state)
        notes = [*state.reasons, *_live_notes(canary.counters)]
        return self._report("canary", canary.counters, [outcome], events=state.events, notes=notes)

    async def _serve(self, mode: Recorder | Shadow | Canary) -> None:
        bound = listen(self.args.listen)
        try:
            await mode.start()
            await serve(Proxy(mode, sticky_header=self.args.sticky_header), bound, mode.done)
        finally:
            bound.close()
            await mode.stop()

    async def _reach(self, server: Upstream) -> None:
        failure = await server.check_reachable()
        if failure is not None:
            remedy = "Start that server and wait until it is ready, or correct the URL."
            raise UsageError(f"--{server.name} {server.url}: {failure}. {remedy}")

    def _report(
        self,
        mode: str,
        counters: Counters,
        checks: Sequence[Check],
        *,
        events: Sequence[Event] = (),
        notes: Sequence[str] = (),
    ) -> int:
        args = self.args
        seconds = time.monotonic() - self.clock
        summary = summarise(
            counters, self.comparison, checks, mode=mode, urls=(args.baseline, args.candidate),
            started=self.started, seconds=seconds, events=events, notes=notes,
        )  # fmt: skip
        print(text.render(summary))
        if args.json:
            self._write("json", msgspec.json.format(msgspec.json.encode(summary), indent=2))
        if args.junit:
            self._write("junit", junit.render(summary))
        if args.html:
            self._write("html", self._page(summary, counters))
        return 0 if summary.passed else 1

    def _page(self, summary: Summary, counters: Counters) -> bytes:
        from drum_litestar.tools.compare.reports import page  # the only user of Matplotlib

        return page.render(summary, series(counters)).encode()

    def _write(self, option: str, content: bytes) -> None:
        path = getattr(self.args, option)
        try:
            path.write_bytes(content)
        except OSError as error:
            raise UsageError(f"--{option} {path}: cannot be written: {error.strerror or error}.") from error


def _live_notes(counters: Counters) -> list[str]:
    """Notes on counters that fail a replay, but not a live mode, where clients choose the requests."""
    return [] if success(counters).ok else ["no answer was a success: this says little about the candidate"]
