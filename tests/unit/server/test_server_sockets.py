from __future__ import annotations

import socket

import pytest

from drum_litestar.errors import StartupError
from drum_litestar.server.event_loop import new_event_loop
from drum_litestar.server.sockets import bind_sockets, describe, format_address


def test_ipv4_and_ipv6_addresses() -> None:
    for host, url in (("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:"), ("[::1]", "http://[::1]:")):
        (sock,) = bind_sockets(host, 0)
        with sock:
            assert describe([sock], "http") == f"{url}{sock.getsockname()[1]}"
            assert not sock.get_inheritable()  # a model worker must not keep the port


def test_all_addresses_of_a_name_get_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def both(host: str, *args: object, **kwargs: object) -> object:
        return [*real("127.0.0.1", 0, type=socket.SOCK_STREAM), *real("::1", 0, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    sockets = bind_sockets("localhost", 0)
    ports = {sock.getsockname()[1] for sock in sockets}
    for sock in sockets:
        sock.close()
    assert (len(sockets), len(ports)) == (2, 1)


def test_an_address_family_that_the_machine_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def with_a_foreign_address(host: str, *args: object, **kwargs: object) -> object:
        return [*real("2001:db8::1", 0, type=socket.SOCK_STREAM), *real("127.0.0.1", 0, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", with_a_foreign_address)
    (sock,) = bind_sockets("localhost", 0)
    with sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_an_address_that_cannot_be_bound_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartupError) as caught:
            bind_sockets("127.0.0.1", port)
    assert str(caught.value) == f"Cannot listen on 127.0.0.1:{port}: Address already in use"
    for host in ("no-such-host.invalid", "203.0.113.7", "a" * 300):
        with pytest.raises(StartupError, match=f"^Cannot listen on {host}:80: [^\n]+$"):
            bind_sockets(host, 80)


def test_a_port_that_was_given_alone_is_recognised() -> None:
    for host in ("18732", "99999999999"):  # 0.0.73.44, and no address at all
        hint = rf"\. {host} was read as a host; give HOST:PORT, such as 127\.0\.0\.1:{host}$"
        with pytest.raises(StartupError, match=rf"^Cannot listen on {host}:8080: [^\n]+{hint}"):
            bind_sockets(host, 8080)
    with pytest.raises(StartupError) as caught:
        bind_sockets("18732", 80)
    assert "was read as a host" not in str(caught.value)


def test_addresses_are_shown_with_brackets_where_needed() -> None:
    assert format_address("::1", 80) == format_address("[::1]", 80) == "[::1]:80"
    assert format_address("localhost", 80) == "localhost:80"


def test_event_loops() -> None:
    for kind in ("asyncio", "uvloop"):
        loop = new_event_loop(kind)
        loop.close()
        assert type(loop).__module__.startswith(kind)
