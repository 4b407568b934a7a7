"""The protocol's messages, made from ``inference.desc``, which ``scripts/grpc_descriptor.py`` compiles.

They live in a pool of their own: clients' libraries define the same names, and a hook may import one of them into this
process (``--executor inline``). Generated modules would share one pool, and would need the protobuf that they were
generated with, or a later one.
"""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

SERVICE: Final = "inference.GRPCInferenceService"
HEALTH: Final = "grpc.health.v1.Health"

_DESCRIPTOR: Final = Path(__file__).with_name("inference.desc")


@functools.lru_cache(maxsize=1)
def pool() -> Any:
    """Descriptors of everything that the listener serves, for reflection."""
    made = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_DESCRIPTOR.read_bytes()).file:
        made.AddSerializedFile(file.SerializeToString())
    for other in (health_pb2, reflection_pb2):
        made.AddSerializedFile(other.DESCRIPTOR.serialized_pb)
    return made


@functools.lru_cache(maxsize=1)
def inference() -> Any:
    """The protocol's message classes, as attributes."""
    names = pool().FindFileByName("inference.proto").message_types_by_name
    return SimpleNamespace(**{name: message_factory.GetMessageClass(descriptor) for name, descriptor in names.items()})
