"""The descriptor is that of the ``.proto`` file; its numbers and types are those of Triton's and KServe's clients."""

from __future__ import annotations

from typing import Any

import grpc_descriptor
import pytest
from google.protobuf import descriptor_pb2
from tritonclient.grpc import service_pb2

from drum_litestar.protocols.grpc_inference.protobuf_messages import inference, pool

OURS_ONLY = {"RepositoryModelLoadResponse.model_name", "RepositoryModelLoadResponse.isLoaded"} | {
    "RepositoryModelUnloadResponse.model_name",
    "RepositoryModelUnloadResponse.isUnloaded",
}
"""KServe's fields of messages that are empty in Triton's protocol."""


def test_it_is_current() -> None:
    current = descriptor_pb2.FileDescriptorSet.FromString(grpc_descriptor.DESCRIPTOR.read_bytes())
    assert current == descriptor_pb2.FileDescriptorSet.FromString(grpc_descriptor.compiled())


def fields_of(message: Any) -> dict[str, tuple[int, int, bool, str]]:
    found = {}
    for field in message.fields:
        other = field.message_type or field.enum_type
        found[f"{message.name}.{field.name}"] = (
            field.number,
            field.type,
            field.is_repeated,
            other.full_name if other is not None else "",
        )
    for nested in message.nested_types:
        found |= {f"{message.name}.{name}": each for name, each in fields_of(nested).items()}
    return found


@pytest.mark.parametrize("name", sorted(vars(inference())))
def test_the_messages_are_those_of_clients(name: str) -> None:
    ours = fields_of(pool().FindMessageTypeByName(f"inference.{name}"))
    theirs = fields_of(service_pb2.DESCRIPTOR.pool.FindMessageTypeByName(f"inference.{name}"))
    assert {field: each for field, each in ours.items() if field not in OURS_ONLY}.items() <= theirs.items()
