"""Requests that fit the loaded model, made of the example row and the tensors of its card."""

from __future__ import annotations

import csv
import io
from typing import Any, Final, NamedTuple

from drum_litestar.predictors.protocol import ModelCard, TensorInfo

CHAT: Final = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
COMPLETION: Final = {"model": "any", "prompt": "Hello"}
EMBEDDING: Final = {"model": "any", "input": "Hello"}
TEXT: Final = "some text"

BYTES: Final = "BYTES"


class Column(NamedTuple):
    """A column of the example row."""

    name: str
    value: str
    is_number: bool

    @property
    def cell(self) -> str | float | int:
        """The value in JSON."""
        if not self.is_number:
            return self.value
        number = float(self.value)
        return int(number) if number.is_integer() else number

    @property
    def schema(self) -> dict[str, Any]:
        """The cells that the column takes."""
        return {"type": ["number", "null"] if self.is_number else ["string", "null"]}


def columns(card: ModelCard) -> list[Column]:
    """The columns of a row; empty where nothing tells them. A column is of numbers if the protocol's metadata says so,
    or else its value is one."""
    texts = {tensor.name for tensor in card.inference.inputs if tensor.datatype == BYTES}
    return [Column(name, value, name not in texts and _is_number(value)) for name, value in card.example]


def _is_number(value: str) -> bool:
    try:
        return float(value) == float(value)  # NaN differs from itself
    except ValueError:
        return False


def csv_text(card: ModelCard) -> str:
    """The example row in CSV, below its header; empty where nothing tells the columns."""
    if not card.example:
        return ""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(zip(*card.example, strict=True))
    return text.getvalue()


def matrix_market(card: ModelCard) -> str:
    """The example row as a sparse matrix; empty for columns that are not all of numbers."""
    row = columns(card)
    if not row or not all(column.is_number for column in row):
        return ""
    lines = [f"1 {number} {column.value}" for number, column in enumerate(row, 1)]
    return "\n".join(["%%MatrixMarket matrix coordinate real general", f"1 {len(row)} {len(row)}", *lines, ""])


def tensors(card: ModelCard) -> list[dict[str, Any]]:
    """The example row as inputs of the Open Inference Protocol; empty where nothing tells the inputs."""
    cells = {column.name: column.cell for column in columns(card)}
    return [_tensor(info, cells) for info in card.inference.inputs]


def _tensor(info: TensorInfo, cells: dict[str, Any]) -> dict[str, Any]:
    default: Any = TEXT if info.datatype == BYTES else 1
    shape = [1 if size == -1 else size for size in info.shape]
    if info.name in cells or len(shape) != 2:
        data = [cells.get(info.name, default)]
    else:
        data = list(cells.values()) if len(cells) == shape[1] else [default] * shape[1]
    return {"name": info.name, "datatype": info.datatype, "shape": shape, "data": data}
