"""Operations of the routes that take rows or any body: predictions, transforms, unstructured models."""

from __future__ import annotations

from typing import Any, Final

from drum_litestar.errors import UnprocessableError
from drum_litestar.http.openapi.operation import TEXT, Content, Operation, Schema, Subject, passes
from drum_litestar.http.openapi.request_examples import TEXT as SOME_TEXT
from drum_litestar.http.openapi.request_examples import Column, columns, csv_text, matrix_market
from drum_litestar.media_types import ARROW_STREAM, COLUMNAR, CSV, FORM, JSON
from drum_litestar.messages.error_messages import ErrorMessage
from drum_litestar.predictors.protocol import SPARSE_TYPE, ModelCard, TargetType
from drum_litestar.predictors.rules import answers_rows, check_structured, check_transform, check_unstructured

BINARY: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
NUMBER: Final[Schema] = {"type": ["number", "null"]}


def row_bodies(subject: Subject) -> Content:
    """The bodies of rows: those media types that the model reads, and a form."""
    card = subject.card
    row, text = columns(card), csv_text(card)
    matrix = matrix_market(card)
    shown: dict[str, dict[str, Any]] = {
        CSV: {"schema": TEXT, "example": text} if text else {"schema": TEXT},
        "text/plain": {"schema": TEXT},
        JSON: json_rows(row),
        SPARSE_TYPE: {"schema": TEXT, "example": matrix} if matrix else {"schema": TEXT},
        **{media_type: {"schema": BINARY} for media_type in COLUMNAR},
    }
    bodies = {media_type: shown[media_type] for media_type in shown if media_type in card.mimetypes}
    return {**bodies, FORM: _form(subject, text)}


def json_rows(row: list[Column]) -> dict[str, Any]:
    """Rows in JSON, in each form that is read."""
    cells = {"type": "array", "items": {"type": ["number", "string", "boolean", "null"]}}
    record: dict[str, Any] = {"type": "object", "minProperties": 1}
    by_column: dict[str, Any] = {"type": "object", "minProperties": 1, "additionalProperties": cells}
    if row:
        names = [column.name for column in row]
        record.update(properties={column.name: column.schema for column in row}, required=names)
        by_column.update(
            properties={column.name: {"type": "array", "items": column.schema} for column in row}, required=names
        )
    records = {"type": "array", "minItems": 1, "items": record}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}},
            "data": {"type": "array", "items": cells},
            "index": {"type": "array"},
        },
    }
    forms = {
        "rows": records,
        "instances": _in_object("instances", records),
        "data": _in_object("data", records),
        "split": split,
        "columns": by_column,
    }
    described: dict[str, Any] = {"schema": {"anyOf": [{"title": name, **form} for name, form in forms.items()]}}
    if row:
        one = {column.name: column.cell for column in row}
        described["examples"] = {
            "rows": {"summary": "A list of rows", "value": [one]},
            "split": {
                "summary": "Columns and data (pandas: split)",
                "value": {"columns": list(one), "data": [list(one.values())]},
            },
            "columns": {"summary": "A list for each column", "value": {name: [cell] for name, cell in one.items()}},
        }
    return described


def _in_object(name: str, rows: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: rows}, "additionalProperties": False}


def _form(subject: Subject, text: str) -> dict[str, Any]:
    card = subject.card
    parts = {"X": {**BINARY, "description": "The rows, as a file: CSV, or what its name ends with."}}
    if card.target_type is TargetType.TRANSFORM:
        parts["y"] = {**BINARY, "description": "The target, as a file."}
    if SPARSE_TYPE in card.mimetypes:
        parts["X.colnames"] = {**BINARY, "description": "Names of the columns of a sparse matrix, one on each line."}
    form: dict[str, Any] = {"schema": {"type": "object", "required": ["X"], "properties": parts}}
    if text:
        form["example"] = {"X": text}
    return form


def predictions(card: ModelCard) -> Schema:
    """The answer in JSON: a prediction for each row, of the kind that the target type has."""
    return {
        "anyOf": [
            {
                "title": "Predictions",
                "type": "object",
                "required": ["predictions"],
                "properties": {
                    "predictions": {"type": "array", "items": _prediction(card)},
                    "extraModelOutput": {
                        "description": "Further columns of the score hook's frame.",
                        "type": "object",
                        "required": ["columns", "index", "data"],
                        "properties": {name: {"type": "array"} for name in ("columns", "index", "data")},
                    },
                },
            },
            {
                "title": "Predictions, with --deployment-config",
                "type": "object",
                "required": ["data"],
                "properties": {"data": {"type": "array", "items": {"type": "object", "required": ["rowId"]}}},
            },
        ]
    }


def _prediction(card: ModelCard) -> Schema:
    if card.target_type.keeps_values:
        return {"description": "A text, or what else the model returned."}
    if not card.target_type.is_classification:
        return NUMBER
    labels = [label for output in card.inference.outputs for label in output.labels]
    described: dict[str, Any] = {"type": "object", "additionalProperties": NUMBER}
    return {**described, "properties": dict.fromkeys(labels, NUMBER), "required": labels} if labels else described


def _predictions(subject: Subject) -> Content:
    card = subject.card
    content: Content = {JSON: {"schema": predictions(card)}, CSV: {"schema": TEXT}}
    return {**content, ARROW_STREAM: {"schema": BINARY}} if ARROW_STREAM in card.mimetypes else content


def _streamed(subject: Subject) -> Content:
    return {**_predictions(subject), "text/plain": {"schema": TEXT}}


def _transformed(subject: Subject) -> Content:
    parts = {
        "X.format": {"type": "string", "enum": ["csv", "sparse"]},
        "X.transformed": BINARY,
        "X.colnames": {**BINARY, "description": "Of a sparse matrix."},
        "y.format": {"type": "string", "enum": ["csv"]},
        "y.transformed": BINARY,
    }
    form = {"schema": {"type": "object", "required": ["X.format", "X.transformed"], "properties": parts}}
    arrow: Content = {ARROW_STREAM: {"schema": BINARY}} if ARROW_STREAM in subject.card.mimetypes else {}
    return {FORM: form, **arrow}


def _any_body(_: Subject) -> Content:
    return {
        "text/plain": {"schema": TEXT, "example": SOME_TEXT},
        JSON: {"schema": {}},
        "application/octet-stream": {"schema": BINARY},
    }


def _require_rows(card: ModelCard) -> None:
    if not answers_rows(card):
        raise UnprocessableError("the model has no rows")


_REFUSED: Final = {422: ErrorMessage}

PREDICT: Final = Operation(
    body=row_bodies,
    answer=_predictions,
    offered=passes(check_structured, _require_rows),
    errors=_REFUSED,
    description="Rows in, a prediction for each. With `Accept`, the answer is CSV or Arrow.",
)
PREDICT_STREAM: Final = Operation(
    body=row_bodies,
    answer=_streamed,
    offered=passes(check_structured, _require_rows),
    errors=_REFUSED,
    description="As the other predictions; of a model that streams, its texts as they come.",
)
TRANSFORM: Final = Operation(
    body=row_bodies,
    answer=_transformed,
    offered=passes(check_transform),
    errors=_REFUSED,
    description="Rows in, the transformed rows out. With `Accept`, the answer is Arrow.",
)
UNSTRUCTURED: Final = Operation(
    body=_any_body,
    body_is_required=False,
    answer=lambda _: {"*/*": {"schema": {}}},
    offered=passes(check_unstructured),
    errors=_REFUSED,
    parameters=(
        {
            "name": "query",
            "in": "query",
            "description": "All parameters of the query reach the hook.",
            "style": "form",
            "explode": True,
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    ),
    description="A body of any type for the model's hook, which makes the answer.",
)
