"""KServe's V1 protocol: ``{"instances": [...]}`` in, ``{"predictions": [...]}`` out.

An instance is a row: an object, a list of cells, or one cell. Rows become CSV as those of ``/predict/`` in JSON do, so
that they get the same predictions.
"""

from __future__ import annotations

from typing import Any, Iterator, List, NamedTuple, Tuple

import msgspec
import pandas as pd

from drum_litestar.errors import BadRequestError
from drum_litestar.media_types import JSON
from drum_litestar.messages.inference_messages import InstancesRequest, InstancesResponse
from drum_litestar.predictors.native.open_inference.tensor_tables import Tables, tensors_of
from drum_litestar.predictors.native.open_inference.tensors import to_json
from drum_litestar.predictors.protocol import ModelCall, Payload, Reply

_decode = msgspec.json.Decoder(InstancesRequest).decode
_decode_row = msgspec.json.Decoder(List[msgspec.Raw]).decode


class Instances(NamedTuple):
    """The instances, each in JSON."""

    raw: Tuple[bytes, ...]

    def bodies(self) -> Iterator[Tuple[bytes, str]]:
        """Each as a body and its media type: a text as it is, anything else as JSON."""
        for each in self.raw:
            yield (msgspec.json.decode(each, type=str).encode(), "text/plain") if each[:1] == b'"' else (each, JSON)


def read_instances(call: ModelCall) -> Instances:
    """The instances of an ``infer_v1`` call. Raises BadRequestError."""
    body = b"" if call.body is None else call.body.read()
    try:
        raw = [bytes(each).strip() for each in _decode(body).instances]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadRequestError(f'not a request of the V1 protocol, {{"instances": [...]}}: {error}') from None
    if not raw:
        raise BadRequestError("there are no instances")
    return Instances(tuple(raw))


def rows_call(call: ModelCall, instances: Instances, tables: Tables) -> ModelCall:
    """The call that asks for the predictions of these rows. Cells without names get those of ``tables``."""
    raw = instances.raw
    if raw[0][:1] == b"{":
        body = b"[%b]" % b",".join(raw)
    else:
        is_cell = raw[0][:1] != b"["
        width = 1 if is_cell else _width(raw[0])
        rows = b",".join([b"[%b]" % each for each in raw] if is_cell else raw)
        body = b'{"columns":%b,"data":[%b]}' % (msgspec.json.encode(tables.names(width)), rows)
    return ModelCall(kind="predict", x=Payload(data=body, size=len(body), mimetype=JSON))


def _width(row: bytes) -> int:
    try:
        return len(_decode_row(row))
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRequestError(f"an instance is no row: {error}") from None


def predictions_json(predictions: Any) -> Reply:
    """The answer: a list as it is, a frame as a list of objects."""
    if isinstance(predictions, pd.DataFrame):
        columns = {tensor.name: to_json(tensor) for tensor in tensors_of(predictions)}
        predictions = [dict(zip(columns, row)) for row in zip(*columns.values())]
    return Reply(body=msgspec.json.encode(InstancesResponse(predictions)))
