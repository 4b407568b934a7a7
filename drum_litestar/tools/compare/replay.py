"""Replay of a corpus to both servers."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from drum_litestar.tools.compare.diff import Comparison
from drum_litestar.tools.compare.messages import REQUEST_ID, Headers, Request, end_to_end
from drum_litestar.tools.compare.outcomes import SKIPPED, Counters, paired
from drum_litestar.tools.compare.progress import Advance
from drum_litestar.tools.compare.upstream import Upstream

GIVE_UP_AFTER: Final = 20
"""Consecutive requests without an answer of one server that end the replay."""
_REPLACED: Final = frozenset(("host", "content-length"))


class Replay:
    """Sends each request to both servers, one after the other, so that they do not compete for the machine. The order
    alternates, so that neither profits from warm caches.

    ``concurrency`` pairs are sent at once. ``repeat`` is the number of replays of the corpus; ``warmup`` requests are
    sent to both before and are not counted. ``headers`` replace those of the corpus (a token, for example).
    """

    def __init__(
        self,
        baseline: Upstream,
        candidate: Upstream,
        comparison: Comparison,
        *,
        concurrency: int = 1,
        repeat: int = 1,
        warmup: int = 0,
        headers: Headers = (),
    ) -> None:
        self._baseline = baseline
        self._candidate = candidate
        self._comparison = comparison
        self._concurrency = concurrency
        self._repeat = repeat
        self._warmup = warmup
        self._headers = headers
        self._unanswered = {baseline.name: 0, candidate.name: 0}
        self.stopped: str | None = None
        self.counters = Counters(keep_cases=True)

    async def run(self, corpus: Sequence[Request], advance: Advance) -> Counters:
        """Replay the corpus. Ends early, with the reason in ``stopped``, when a server stops answering."""
        for request in itertools.islice(itertools.cycle(corpus), self._warmup):
            sent = self._prepare(request)
            await self._baseline.fetch(sent)
            await self._candidate.fetch(sent)
        work = enumerate(request for _ in range(self._repeat) for request in corpus)
        senders = [asyncio.ensure_future(self._send(work, advance)) for _ in range(self._concurrency)]
        try:
            await asyncio.gather(*senders)
        finally:
            for sender in senders:
                sender.cancel()
        return self.counters

    async def _send(self, work: Iterator[tuple[int, Request]], advance: Advance) -> None:
        for number, request in work:  # shared by all senders: each takes the next one
            if self.stopped:
                return
            if self._comparison.skips(request):
                self.counters.not_compared[SKIPPED] += 1
                advance("")
                continue
            sent = self._prepare(request)
            order = (self._baseline, self._candidate)
            answers = {server.name: await server.fetch(sent) for server in (order if number % 2 == 0 else order[::-1])}
            for name, answer in answers.items():
                self._unanswered[name] = self._unanswered[name] + 1 if answer.failed else 0
                if self._unanswered[name] >= GIVE_UP_AFTER:
                    self.stopped = f"{name} did not answer {GIVE_UP_AFTER} requests in a row: {answer.error}"
            baseline, candidate = answers[self._baseline.name], answers[self._candidate.name]
            self.counters.count(paired(sent, baseline, candidate, self._comparison.compare(baseline, candidate)))
            advance(f"{self.counters.errors} errors, {self.counters.mismatches} mismatches")

    def _prepare(self, request: Request) -> Request:
        """Add the given headers, and one request id for both servers, so that answers which echo it agree."""
        replaced = _REPLACED | {name.lower() for name, _ in self._headers}
        headers = end_to_end(request.headers, drop=replaced) + self._headers
        if not any(name.lower() == REQUEST_ID.lower() for name, _ in headers):
            headers += ((REQUEST_ID, uuid.uuid5(uuid.NAMESPACE_URL, request.id).hex),)
        return msgspec.structs.replace(request, headers=headers)
