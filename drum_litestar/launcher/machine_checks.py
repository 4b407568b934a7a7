"""Checks of settings on this machine: addresses, certificates, the workers' interpreter and their user."""

from __future__ import annotations

import socket
from typing import Final

from drum_litestar.errors import SettingsError
from drum_litestar.launcher.worker_interpreter import find_interpreter
from drum_litestar.launcher.worker_user import check_worker_user
from drum_litestar.server.tls import build_context
from drum_litestar.settings.address import Address
from drum_litestar.settings.server_settings import ServerSettings

_ALL_ADDRESSES: Final = frozenset(("0.0.0.0", "::"))


def check_machine(settings: ServerSettings) -> None:
    """Raise SettingsError, one line, for addresses, certificates, an interpreter or a user that cannot be used."""
    listen = settings.listen
    if listen.probe_address is not None and _overlap(listen.address, listen.probe_address):
        raise SettingsError(
            f"DRUM_PROBE_ADDRESS='{listen.probe_address}' is the server's own address ({listen.address}): probes on a "
            "port of their own need another port"
        )
    if listen.grpc_address is not None:
        for name, other in (("the server's own address", listen.address), ("DRUM_PROBE_ADDRESS", listen.probe_address)):
            if other is not None and _overlap(other, listen.grpc_address):
                raise SettingsError(
                    f"DRUM_GRPC_ADDRESS='{listen.grpc_address}' is {name} ({other}): gRPC needs a port of its own"
                )
    if settings.tls.certfile:
        build_context(settings.tls)
    workers = settings.workers
    if workers.python is not None:
        find_interpreter(workers.python)
    if workers.user is not None:
        check_worker_user(workers.user, own_python=workers.python is None)


def _overlap(one: Address, other: Address) -> bool:
    """Whether the two cannot be bound both. The system would notice only when the second one listens."""
    if one.port != other.port or not one.port:
        return False
    hosts, others = _addresses(one), _addresses(other)
    return bool(hosts & others or (hosts | others) & _ALL_ADDRESSES)


def _addresses(address: Address) -> set[object]:
    """IP addresses of the host; none for an unknown one, which is reported when it is bound."""
    try:
        return {found[4][0] for found in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()
