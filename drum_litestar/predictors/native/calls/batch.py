"""Batches: several structured calls, CSV or tensors, answered by one call of the model.

The answers are byte-identical to those of single calls: bodies are merged only if each of them alone has the same
columns and types (``shortcuts/csv_merge.py``), and so are tensors; models predict the rows of several calls with the
bits of each call alone (``shortcuts/merged_estimator.py``), and the validated predictions are split before they are
encoded. Hooks that treat rows together would change answers, so their calls are merged only if the operator asks for
it.
"""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from drum_litestar.errors import RequestError
from drum_litestar.predictors.native.calls.loaded_model import LoadedModel
from drum_litestar.predictors.native.calls.structured import NotMergeableError, Predictions, StructuredHandler
from drum_litestar.predictors.native.formats.inputs import MTX, StructuredInput
from drum_litestar.predictors.native.formats.validation import ValidatedPredictions
from drum_litestar.predictors.native.shortcuts.csv_merge import MergedBodies, MergedTables, merge_csv, merge_tables
from drum_litestar.predictors.native.shortcuts.csv_parser import CsvParser, CsvTable
from drum_litestar.predictors.protocol import BatchingRule, ModelCall, Payload, Reply, StreamReply, TargetType
from drum_litestar.predictors.steps import step

logger = logging.getLogger("drum")

Group = TypeVar("Group", MergedBodies, MergedTables)


class InferTables(Protocol):
    """What reads the tensors of ``infer`` calls, and answers with tensors."""

    def read(self, call: ModelCall) -> tuple[Any, CsvTable] | None:
        """The request and its table; None for a call that must be answered alone."""

    def answer(self, request: Any, predictions: Predictions) -> Reply: ...


class BatchHandler:
    """Answers batches for one loaded model."""

    def __init__(
        self,
        loaded: LoadedModel,
        structured: StructuredHandler,
        single: Callable[[ModelCall], Reply | StreamReply],
        infer: InferTables,
    ) -> None:
        """``single`` answers one call and never raises."""
        self._infer = infer
        self._structured = structured
        self._single = single
        self._parse_csv = loaded.parse_csv
        self._features = None if structured.merged is None else structured.merged.features
        self._enabled = (
            loaded.parse_csv is not None
            and structured.batching != "never"
            and loaded.target_type not in (TargetType.TRANSFORM, TargetType.UNSTRUCTURED)
            and not loaded.target_type.keeps_values  # values of several calls in one column could change their type
            and loaded.hooks.get("read_input_data") is None  # the hook, not the CSV reader, decides what a body means
            and loaded.monitor is None  # reports are made per request
            and loaded.deployment_config is None  # full precision: sums over blocks of rows differ in the last bits
        )

    @property
    def rule(self) -> BatchingRule:
        """When calls may be batched, as long as the model works row by row."""
        return self._structured.batching if self._enabled else "never"

    def handle(self, calls: Sequence[ModelCall]) -> list[Reply] | None:
        """One reply for each call; None when each must run alone: nothing can be batched, or one reply is a stream.

        An exception of the model may be caused by one member, with a text about the rows of all. So the members of
        that group run once more, each alone, where only the cause fails, with its own error. The log says so.
        """
        if not self._enabled or self._parse_csv is None:
            return None
        kinds = {call.kind for call in calls}
        if kinds == {"predict"}:
            replies = self._predict(calls, self._parse_csv)
        elif kinds == {"infer"} and self._structured.row_by_row:  # hooks get the body, too, as it was sent
            replies = self._infer_tables(calls)
        else:
            return None
        if not replies:
            return None
        for position, call in enumerate(calls):
            if position not in replies:
                reply = self._single(call)
                if isinstance(reply, StreamReply):
                    reply.close()
                    return None
                replies[position] = reply
        return [replies[position] for position in range(len(calls))]

    def _infer_tables(self, calls: Sequence[ModelCall]) -> dict[int, Reply]:
        """The answers to the calls whose tables could be merged."""
        with step("parse"):
            inputs = [self._infer.read(call) for call in calls]
            groups = merge_tables([None if each is None else each[1] for each in inputs], self._features)
        return self._by_position(groups, lambda group: self._answer_tables(group, inputs)) or {}

    def _answer_tables(self, group: MergedTables, inputs: Sequence[tuple[Any, CsvTable] | None]) -> list[Reply] | None:
        nothing = StructuredInput(Payload(data=b""), None, None, None)
        with step("model"):
            predictions = self._structured.predict(group.rows, nothing, group.lengths)
        parts = self._split(predictions, group.lengths)
        if parts is None:
            return None
        requests = [each[0] for each in map(inputs.__getitem__, group.positions) if each is not None]
        with step("serialize"):
            return [self._infer.answer(request, part) for request, part in zip(requests, parts)]

    def _predict(self, calls: Sequence[ModelCall], parse: CsvParser) -> dict[int, Reply]:
        """The answers to the calls whose bodies could be merged."""
        replies: dict[int, Reply] = {}
        for positions, source in self._by_options(calls):
            with step("parse"):
                bodies = [_body(calls[position]) for position in positions]
                groups = merge_csv(bodies, parse, self._features)
            answers = self._by_position(groups, functools.partial(self._answer_group, source=source))
            if answers is None:
                return {}
            replies.update({positions[member]: reply for member, reply in answers.items()})
        return replies

    def _by_position(
        self, groups: Sequence[Group], answer: Callable[[Group], list[Reply] | None]
    ) -> dict[int, Reply] | None:
        """The answers to the members of the groups that could be answered; None when there are no more batches."""
        replies: dict[int, Reply] = {}
        for group in groups:
            try:
                answers = answer(group)
            except NotMergeableError:
                continue
            except Exception as error:
                logger.warning("%d batched calls failed and are run singly: %s", len(group.positions), error)
                continue
            if answers is None:
                return None
            replies.update(zip(group.positions, answers))
        return replies

    def _by_options(self, calls: Sequence[ModelCall]) -> list[tuple[list[int], StructuredInput]]:
        """Group the calls by media type and charset, which hooks receive; one input stands for each group."""
        groups: dict[Any, list[int]] = defaultdict(list)
        sources: dict[Any, StructuredInput] = {}
        for position, call in enumerate(calls):
            if call.answer:
                continue
            try:
                source = self._structured.parse(call)
            except RequestError:
                continue  # answered on its own
            other_format = source.mimetype == MTX or source.columnar is not None
            if other_format or source.colnames or source.payload.data != _body(calls[position]):
                continue  # not in memory, or rows in JSON
            key = (source.mimetype, source.charset)
            groups[key].append(position)
            sources[key] = source
        return [(positions, sources[key]) for key, positions in groups.items()]

    def _answer_group(self, group: MergedBodies, source: StructuredInput) -> list[Reply] | None:
        merged = source._replace(payload=Payload(data=group.data, size=len(group.data)))
        rows: Any = group.blocks if group.table is None else group.table.frame()
        with step("model"):
            predictions = self._structured.predict(rows, merged, group.lengths)
        parts = self._split(predictions, group.lengths)
        if parts is None:
            return None
        with step("serialize"):
            return [Reply(body=self._structured.encode(part)) for part in parts]

    def _split(self, predictions: Predictions, lengths: Sequence[int]) -> list[Predictions] | None:
        """Those of each call; None, and no more batches, if they cannot be told apart."""
        got, asked = len(predictions.validated.values), sum(lengths)
        if got != asked:
            self._disable(f"the model returned {got} predictions for {asked} rows of batched requests")
            return None
        if predictions.extra is not None:  # the types of its columns may depend on all rows
            self._disable("the model returns extra output")
            return None
        return _split(predictions.validated, lengths)

    def _disable(self, reason: str) -> None:
        if self._enabled:
            self._enabled = False
            logger.warning("Micro-batching is off from now on: %s.", reason)


def _body(call: ModelCall) -> bytes:
    """The CSV of a structured call that is in memory."""
    payload = call.x if call.x is not None else call.body
    return b"" if payload is None or payload.data is None else payload.data


def _split(validated: ValidatedPredictions, lengths: Sequence[int]) -> list[Predictions]:
    parts = []
    start = 0
    for length in lengths:
        parts.append(
            Predictions(ValidatedPredictions(validated.values[start : start + length], validated.columns), None)
        )
        start += length
    return parts
