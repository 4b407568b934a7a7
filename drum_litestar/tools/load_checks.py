"""The check of a model folder that runs it: loads the model in a worker, as the server would, and tries one row."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from drum_litestar.errors import ModelLoadError, RequestError, StartupError
from drum_litestar.launcher.model_session import ModelSession
from drum_litestar.launcher.plan import LaunchPlan
from drum_litestar.predictors.protocol import CallKind, ModelCall, ModelCard, Payload, Reply, TargetType
from drum_litestar.predictors.rules import answers_rows
from drum_litestar.tools.findings import BLOCKING, Finding
from drum_litestar.tools.predict.scoring import message_of
from drum_litestar.tools.predict.table_parts import UncuttableError, cut

LONGEST_ANSWER: Final = 200
"""Characters of an answer that are shown."""
CHAT: Final = {"model": "check", "messages": [{"role": "user", "content": "Hello"}]}
COMPLETION: Final = {"model": "check", "prompt": "Hello"}
EMBEDDING: Final = {"model": "check", "input": "Hello"}
NO_ROW: Final = "no row is tried: nothing in the folder tells the columns; --row FILE names a CSV file with one"


class Trial(NamedTuple):
    """A request that the model is tried with."""

    route: str
    call: ModelCall
    given: bool
    """It is the user's, so that a failure is a failure of the model."""


def load(plan: LaunchPlan, row: str | None) -> list[Finding]:
    """Load the model of ``plan`` and try the first row of the file ``row``, or one that the folder tells."""
    try:
        return asyncio.run(_load(plan, row))
    except ModelLoadError as error:
        return [Finding("load", BLOCKING, " ".join(str(error).split()))]
    except (StartupError, RequestError) as error:
        return [Finding("load", BLOCKING, str(error))]


async def _load(plan: LaunchPlan, row: str | None) -> list[Finding]:
    began = time.perf_counter()
    async with ModelSession(plan) as session:
        seconds = time.perf_counter() - began
        card = session.card
        facts = {"seconds": round(seconds, 3), "hooks": card.hooks}
        findings = [Finding("load", "ok", f"loaded in {seconds:.1f} s: {card.description}", facts)]
        findings += [Finding("load", "warning", text) for text in card.warnings]
        trials = list(_trials(card, row))
        for trial in trials:
            began = time.perf_counter()
            reply = await session.ask(trial.call)
            findings.append(_tried(trial, reply, time.perf_counter() - began))
        return findings if trials else [*findings, Finding("row", "info", NO_ROW)]


def _tried(trial: Trial, reply: Reply, seconds: float) -> Finding:
    facts = {"route": trial.route, "status": reply.status, "seconds": round(seconds, 3)}
    if reply.status != 200:
        level = BLOCKING if trial.given else "warning"
        made_up = "" if trial.given else " (a row made up from what the folder tells; --row FILE tries yours)"
        return Finding("row", level, f"{trial.route} answers {reply.status}: {message_of(reply)}{made_up}", facts)
    text = " ".join(reply.body.decode("utf-8", "replace").split())
    shown = text if len(text) <= LONGEST_ANSWER else f"{text[:LONGEST_ANSWER]}..."
    return Finding("row", "ok", f"{trial.route} answers in {seconds * 1000:.0f} ms: {shown}", facts)


def _trials(card: ModelCard, row: str | None) -> Iterator[Trial]:
    """Raises StartupError for a file that cannot be read."""
    target = card.target_type
    if target is TargetType.UNSTRUCTURED:
        body = b"some text" if row is None else Path(row).read_bytes()
        payload = Payload(data=body, size=len(body), mimetype="text/plain")
        yield Trial("/predictUnstructured/", ModelCall(kind="unstructured", body=payload), row is not None)
        return
    rows = _example(card) if row is None else _first_row(Path(row))
    kind: CallKind = "transform" if target is TargetType.TRANSFORM else "predict"
    if rows and (row is not None or answers_rows(card)):
        payload = Payload(data=rows, size=len(rows), mimetype="text/csv")
        yield Trial(f"/{kind}/", ModelCall(kind=kind, x=payload), row is not None)
    if card.chat:
        yield _openai("/chat/completions", "chat", CHAT)
    if card.completions and "completion" in card.hooks:
        yield _openai("/completions", "completion", COMPLETION)
    if card.embeddings:
        yield _openai("/embeddings", "embed", EMBEDDING)


def _openai(route: str, kind: CallKind, params: Mapping[str, object]) -> Trial:
    body = json.dumps(params).encode()
    payload = Payload(data=body, size=len(body), mimetype="application/json")
    return Trial(route, ModelCall(kind=kind, body=payload), False)


def _example(card: ModelCard) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([[name for name, _ in card.example], [value for _, value in card.example]] if card.example else [])
    return text.getvalue().encode()


def _first_row(path: Path) -> bytes:
    """The header and the first row of ``path``; the whole of a file that is no plain CSV."""
    try:
        part = next(islice(cut(path, 1), 1), None)
    except UncuttableError:
        return path.read_bytes()
    if part is None:
        raise StartupError(f"--row {path} has no row: a CSV file has a header and at least one row")
    return part.data
