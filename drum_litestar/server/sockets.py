"""Listening sockets, bound before the model is loaded: a port in use is reported at once."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

from drum_litestar.errors import StartupError
from drum_litestar.settings.address import DEFAULT_PORT

_NO_SUCH_FAMILY: Final = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Bind one socket to each address of ``host``, without listening yet.

    ``host`` is a name, an IPv4 or an IPv6 address (brackets allowed); ``port`` 0 picks a free one, the same for all
    addresses. An address family that the machine lacks is left out as long as another one works (``localhost``).

    Raises:
        StartupError: no socket can be bound (port in use, no such host, not permitted); the text is one line.
    """
    shown = format_address(host, port)
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise StartupError(f"Cannot listen on {shown}: {_reason(error)}{_hint(host, port)}") from None
    addresses = list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))
    bound: list[socket.socket] = []
    refusal: OSError | None = None
    for family, sockaddr in addresses:
        target = (sockaddr[0], bound[0].getsockname()[1] if bound else port, *sockaddr[2:])
        try:
            bound.append(_bind(family, target, only_v6=len(addresses) > 1))
        except OSError as error:
            refusal = error
            if error.errno not in _NO_SUCH_FAMILY:
                break
    if bound and (refusal is None or refusal.errno in _NO_SUCH_FAMILY):
        return bound
    for sock in bound:
        sock.close()
    raise StartupError(f"Cannot listen on {shown}: {_reason(refusal)}{_hint(host, port)}")


def _bind(family: int, address: tuple[object, ...], *, only_v6: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restarted server can bind its port while old connections are in TIME_WAIT. On Windows the same option
        # would let two servers share one port.
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and only_v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _reason(error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)


def _hint(host: str, port: int) -> str:
    """Text for a port that was given alone: 18732 is a host, too, 0.0.73.44."""
    if not host.isdigit() or port != DEFAULT_PORT:
        return ""
    return f". {host} was read as a host; give HOST:PORT, such as 127.0.0.1:{host}"


def format_address(host: str, port: int) -> str:
    """Format ``host:port``, an IPv6 address in brackets."""
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def describe(sockets: Sequence[socket.socket], scheme: str) -> str:
    """Format the addresses of ``sockets`` as URLs, for the log."""
    names = [sock.getsockname() for sock in sockets]
    return ", ".join(
        f"{scheme}://{format_address(str(name[0]), int(name[1]))}" if isinstance(name, tuple) else f"unix:{name}"
        for name in names
    )
