"""Answers of the Open Inference Protocol, and the errors of its routes."""

from __future__ import annotations

from typing import Any, Final, Sequence

import msgspec

from drum_litestar.drum_json import drum_json
from drum_litestar.errors import BadRequestError, shown
from drum_litestar.messages.error_messages import ErrorText
from drum_litestar.messages.inference_messages import InferenceResponse, OutputTensor
from drum_litestar.predictors.native.calls.error_replies import error_reply
from drum_litestar.predictors.native.open_inference.infer_request import InferRequest
from drum_litestar.predictors.native.open_inference.tensors import Tensor, to_bytes, to_json
from drum_litestar.predictors.protocol import Reply

JSON_SIZE_HEADER: Final = "Inference-Header-Content-Length"
BINARY_TYPE: Final = "application/octet-stream"
_UNPROCESSABLE: Final = 422

_encode = msgspec.json.Encoder().encode


def infer_reply(request: InferRequest, model_name: str, tensors: Sequence[Tensor]) -> Reply:
    """The answer with the wanted outputs of ``tensors``, each as JSON or, after the JSON, in binary.

    Raises BadRequestError for an output that there is not.
    """
    outputs, pieces = [], []
    for tensor, is_binary in _wanted(request, tensors):
        output = OutputTensor(tensor.name, tensor.datatype, tensor.shape)
        if is_binary:
            pieces.append(to_bytes(tensor))
            output.parameters = {"binary_data_size": len(pieces[-1])}
        else:
            output.data = to_json(tensor)
        outputs.append(output)
    head = _encode(InferenceResponse(model_name, outputs, request.id))
    if not pieces:
        return Reply(body=head)
    return Reply(
        body=b"".join((head, *pieces)),
        content_type=BINARY_TYPE,
        headers=((JSON_SIZE_HEADER, str(len(head))),),
    )


def _wanted(request: InferRequest, tensors: Sequence[Tensor]) -> Any:
    """The tensors in the order in which they were asked for, and whether in binary."""
    if request.outputs is None:
        return [(tensor, request.binary) for tensor in tensors]
    found = {tensor.name: tensor for tensor in tensors}
    unknown = [name for name, _ in request.outputs if name not in found]
    if unknown:
        raise BadRequestError(f"there is no output {shown(unknown[0])}; there are {', '.join(found)}")
    return [(found[name], request.binary if said is None else said) for name, said in request.outputs]


def infer_error(error: BaseException) -> Reply:
    """The reply to a request that ended with ``error``: as for other calls, but ``{"error": text}``, and 400 for data
    that is answered with 422 there."""
    reply = error_reply(error, client_errors_4xx=True)
    if reply.status == _UNPROCESSABLE:
        reply.status = 400
    if reply.body:
        fields = msgspec.json.decode(reply.body)
        reply.body = drum_json(msgspec.to_builtins(ErrorText(fields.get("error", fields.get("message", "")))))
    return reply
