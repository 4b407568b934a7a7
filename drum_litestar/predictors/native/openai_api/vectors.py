"""What an ``embed`` hook may return, as vectors.

::

    return [[0.1, 0.2], [0.3, 0.4]]              one vector for each input; or an array, a tensor, a frame
    return [0.1, 0.2]                            the vector of the only input
    yield [0.1, 0.2]                             the vector of the next input
    return {"data": [{"embedding": [0.1, 0.2], "index": 0}], "usage": {...}}

A dict may also be an object with these attributes, such as the openai package's ``CreateEmbeddingResponse``.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, NamedTuple

import numpy as np

from drum_litestar.predictors.native.calls.event_stream import plain
from drum_litestar.predictors.native.hooks.user_errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

REMEDY = (
    "embed() returns one vector for each input, in their order: a list of lists of numbers, a 2-D array, or a dict or "
    'object with "data", each item with an "embedding"; or it yields vectors'
)
_LIST = "list"
_SINGLE = "<f4"
"""What base64 of a vector holds."""


class Embeddings(NamedTuple):
    """What a hook returned."""

    vectors: List[NDArray[Any]]
    """1-D arrays of floats, finite and of one length."""
    around: Dict[str, Any]
    """Fields beside the vectors, in JSON values."""


def embeddings_of(result: Any, count: int, iterate: Callable[[Any], Iterable[Any]]) -> Embeddings:
    """The vectors of ``count`` inputs. ``iterate`` goes through what is yielded, synchronous or not. Raises
    ModelError."""
    around: Dict[str, Any] = {}
    if isinstance(result, dict) or getattr(result, "object", None) == _LIST:
        around = _fields(result)
        result = _items(around.pop("data", None))
    rows = _rows(result, iterate)
    if len(rows) != count:
        raise ModelError(f"embed() returned {len(rows)} vectors for {count} inputs", REMEDY)
    vectors = [_vector(row) for row in rows]
    if len({len(vector) for vector in vectors}) > 1:
        raise ModelError("embed() returned vectors of different lengths", REMEDY)
    return Embeddings(vectors, {name: plain(value) for name, value in around.items() if value is not None})


def to_base64(vector: NDArray[Any]) -> str:
    """Little-endian floats of 32 bits, as OpenAI's clients read them."""
    return base64.b64encode(vector.astype(_SINGLE).tobytes()).decode("ascii")


def _items(data: Any) -> List[Any]:
    if not isinstance(data, (list, tuple)):
        raise ModelError('embed() returned a dict without a list "data"', REMEDY)
    items = [_fields(item) for item in data]
    if not all("embedding" in item for item in items):
        raise ModelError('embed() returned an item of "data" without "embedding"', REMEDY)
    if all(isinstance(item.get("index"), int) for item in items):
        items.sort(key=lambda item: item["index"])
    return [item["embedding"] for item in items]


def _fields(value: Any) -> Dict[str, Any]:
    return dict(value) if isinstance(value, dict) else dict(getattr(value, "__dict__", {}))


def _rows(result: Any, iterate: Callable[[Any], Iterable[Any]]) -> List[Any]:
    if isinstance(result, (str, bytes)):
        raise ModelError(f"embed() returned {type(result)}", REMEDY)
    if hasattr(result, "to_numpy"):
        result = result.to_numpy()
    if not isinstance(result, (list, tuple, np.ndarray)) and hasattr(result, "tolist"):
        result = result.tolist()  # tensors, wherever they are
    try:
        rows = list(result if isinstance(result, (list, tuple, np.ndarray)) else iterate(result))
    except TypeError:
        if hasattr(result, "__iter__") or hasattr(result, "__aiter__"):
            raise
        raise ModelError(f"embed() returned {type(result)}", REMEDY) from None
    single = bool(rows) and all(isinstance(row, (int, float, np.number)) for row in rows)
    return [rows] if single else rows


def _vector(row: Any) -> NDArray[Any]:
    if isinstance(row, str):
        return _from_base64(row)
    if not isinstance(row, (list, tuple, np.ndarray)) and hasattr(row, "tolist"):
        row = row.tolist()
    try:
        vector = np.asarray(row)
    except ValueError:  # ragged
        vector = np.empty(0)
    if vector.ndim != 1 or not vector.size or vector.dtype.kind not in "fiu":
        raise ModelError("embed() returned a vector that is not a list of numbers", REMEDY)
    vector = vector if vector.dtype.kind == "f" else vector.astype(np.float64)
    if not np.isfinite(vector).all():
        raise ModelError("embed() returned a vector with NaN or infinity", "no client can read such a vector")
    return vector


def _from_base64(text: str) -> NDArray[Any]:
    try:
        vector: NDArray[Any] = np.frombuffer(base64.b64decode(text, validate=True), _SINGLE)
    except (ValueError, binascii.Error):
        vector = np.empty(0)
    if not vector.size or not np.isfinite(vector).all():
        raise ModelError("embed() returned a text that is no vector in base64", REMEDY)
    return vector
