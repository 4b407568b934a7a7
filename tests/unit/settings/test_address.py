from __future__ import annotations

import pytest

from drum_litestar.settings.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:7100", "127.0.0.1", 7100),
        ("127.0.0.1", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        (" localhost:1 ", "localhost", 1),
        ("[::1]:7158", "::1", 7158),
        ("[::1]", "::1", 8080),
        ("[::]:65535", "::", 65535),
        (":7100", "0.0.0.0", 7100),
    ],
)
def test_accepted(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert address == Address(host, port)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("127.0.0.1:abc", "'abc' is not a number from 0 to 65535"),
        ("127.0.0.1:", "'' is not a number from 0 to 65535"),
        ("127.0.0.1:65536", "'65536' is not a number"),
        ("127.0.0.1:-1", "'-1' is not a number"),
        ("127.0.0.1:٣", "is not a number"),
        ("::1:7158", "write an IPv6 address as [::1]:port"),
        ("[::1:7158", "is not [IPv6 address]:port"),
        ("[foo]:1", "is not [IPv6 address]:port"),
        ("[::1]7", "is not [IPv6 address]:port"),
        ("http://host", "is a URL"),
        ("http://host:80", "is a URL"),
        ("", "is not host:port"),
        ("a b:1", "is not host:port"),
        ("host/path", "is not host:port"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_address(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
