"""The gRPC client that is generated from the specification's protobuf document."""

import asyncio
import struct
import sys

import grpc
from calls import FLAT, check, close, expected, input_name, report
from open_inference.grpc import protocol
from open_inference.grpc.service import GRPCInferenceServiceStub

url, address, model = sys.argv[1:]
stub = GRPCInferenceServiceStub(grpc.insecure_channel(address))
output, name = expected(url, model), input_name(url, model)


def infer(raw):
    tensor = {"name": name, "datatype": "FP64", "shape": [2, 4]}
    if not raw:
        tensor["contents"] = {"fp64_contents": FLAT}
    data = [struct.pack("<8d", *FLAT)] if raw else []
    answer = stub.ModelInfer(
        protocol.ModelInferRequest(model_name=model, id="7", inputs=[tensor], raw_input_contents=data)
    )
    check(answer.id == "7", answer.id)
    if answer.raw_output_contents:
        (values,) = answer.raw_output_contents
        close(list(struct.unpack(f"<{len(values) // 8}d", values)), output)
    else:
        close(list(answer.outputs[0].contents.fp64_contents), output)


def refused():
    try:
        stub.ModelMetadata(protocol.ModelMetadataRequest(name="no-such-model"))
    except grpc.RpcError as error:
        check(error.code() is grpc.StatusCode.NOT_FOUND, str(error.code()))
    else:
        check(False)


asyncio.run(
    report(
        {
            "ServerLive": lambda: stub.ServerLive(protocol.ServerLiveRequest()).live,
            "ServerReady": lambda: stub.ServerReady(protocol.ServerReadyRequest()).ready,
            "ModelReady": lambda: stub.ModelReady(protocol.ModelReadyRequest(name=model)).ready,
            "ServerMetadata": lambda: check(stub.ServerMetadata(protocol.ServerMetadataRequest()).name),
            "ModelMetadata": lambda: check(
                stub.ModelMetadata(protocol.ModelMetadataRequest(name=model)).inputs[0].name == name
            ),
            "ModelInfer, raw contents": lambda: infer(True),
            "ModelInfer, typed contents": lambda: infer(False),
            "an error": refused,
        }
    )
)
