"""The server and its model, as the console shows them; before a model is loaded, without one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from drum_litestar.console.event_log import Event
from drum_litestar.execution.executor import Executor, WorkerStatus
from drum_litestar.predictors.protocol import ModelCard
from drum_litestar.predictors.rules import answers_rows
from drum_litestar.settings.masking import masked


class Column(msgspec.Struct, frozen=True):
    """One column of the model's input."""

    name: str
    type: str
    """A word of the Open Inference Protocol (``FP64``); empty where nothing tells."""
    example: str


class Offers(msgspec.Struct, frozen=True):
    """Which ways of asking the model the page shows."""

    rows: bool
    """``/predict/``."""
    transform: bool
    unstructured: bool
    chat: bool
    completions: bool
    embeddings: bool


class ModelView(msgspec.Struct, frozen=True):
    """The loaded model."""

    target_type: str
    labels: list[str]
    """Class labels; of a binary model the positive one first."""
    columns: list[Column]
    outputs: list[Column]
    offers: Offers
    media_types: list[str]
    info: dict[str, Any]
    """The members of ``/info/``."""
    hooks: list[str]
    predictor: str
    concurrency: int
    batching: str
    warnings: list[str]


class Overview(msgspec.Struct, frozen=True):
    """The server and its model."""

    name: str
    state: str
    failure: str
    """Why the model cannot be loaded; empty when it can."""
    folder_error: str
    """Why the model folder could not be loaded again, while what was loaded before is served."""
    versions: dict[str, str]
    model: ModelView | None
    workers: list[WorkerStatus]
    history: list[Event]
    settings: list[dict[str, Any]]
    show_stacktrace: bool


def model_view(card: ModelCard) -> ModelView:
    """Describe a loaded model."""
    return ModelView(
        target_type=card.target_type.value,
        labels=card.labels,
        columns=_columns(card),
        outputs=[Column(each.name, each.datatype, ", ".join(each.labels)) for each in card.inference.outputs],
        offers=Offers(
            rows=_takes_rows(card),
            transform=card.target_type.value == "transform",
            unstructured=card.unstructured,
            chat=card.chat,
            completions=card.completions,
            embeddings=card.embeddings,
        ),
        media_types=list(card.mimetypes),
        info=card.info,
        hooks=list(card.hooks),
        predictor=str(card.info.get("predictor") or ""),
        concurrency=card.concurrency,
        batching=card.batching,
        warnings=list(card.warnings),
    )


def overview(
    executor: Executor,
    *,
    name: str,
    versions: dict[str, str],
    settings: Sequence[dict[str, Any]],
    history: list[Event],
    show_stacktrace: bool,
) -> Overview:
    """Describe the server as it is now."""
    card = executor.card
    return Overview(
        name=name,
        state=executor.state,
        failure=masked(str(executor.failure)) if executor.failure is not None else "",
        folder_error=masked(executor.folder_error),
        versions={**versions, "Python of the server": sys.version.split()[0]},
        model=model_view(card) if card is not None else None,
        workers=executor.workers(),
        history=history,
        settings=list(settings),
        show_stacktrace=show_stacktrace,
    )


def _takes_rows(card: ModelCard) -> bool:
    return card.target_type.value not in ("transform", "unstructured") and answers_rows(card)


def _columns(card: ModelCard) -> list[Column]:
    """Of the model's example row, with the types of its tensors; one of both may be absent."""
    types = {each.name: each.datatype for each in card.inference.inputs}
    if card.example:
        return [Column(name, types.get(name, ""), value) for name, value in card.example]
    return [Column(name, datatype, "") for name, datatype in types.items()]
