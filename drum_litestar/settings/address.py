"""Listen address, ``host:port``, of the command line and ``ADDRESS`` (contract, 1.6 and Q-6)."""

from __future__ import annotations

import msgspec

DEFAULT_PORT = 8080


class Address(msgspec.Struct, frozen=True):
    """Listen address. ``host`` has no brackets, also when it is an IPv6 address."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse ``host``, ``host:port``, ``[v6]``, ``[v6]:port`` or ``:port`` (all IPv4 interfaces, as in gunicorn).

    A missing port is 8080; port 0 lets the system choose one. Raises ValueError with a message for the operator.
    """
    text = text.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
            raise ValueError(f"'{text}' is not [IPv6 address]:port")
        return Address(host, _port(rest[1:], text) if rest else DEFAULT_PORT)
    host, colon, port = text.partition(":")
    if ":" in port:
        if port.startswith("//"):
            raise ValueError(f"'{text}' is a URL; host:port is expected")
        raise ValueError(f"'{text}' has several colons; write an IPv6 address as [::1]:port")
    if port.startswith("//"):
        raise ValueError(f"'{text}' is a URL; host:port is expected")
    if not text or any(character.isspace() or character == "/" for character in host):
        raise ValueError(f"'{text}' is not host:port")
    return Address(host or "0.0.0.0", _port(port, text) if colon else DEFAULT_PORT)


def _port(port: str, text: str) -> int:
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"'{text}' has no valid port: '{port}' is not a number from 0 to 65535")
    return int(port)


def _is_ipv6(host: str) -> bool:
    from ipaddress import IPv6Address

    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
