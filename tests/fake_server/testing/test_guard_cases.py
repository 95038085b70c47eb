"""What the network guard lets through and what not, by every spelling of a host."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from fake_server.testing.guard import NetworkRefused, Refused, network_guard

PUBLIC = "192.0.2.1"
"""An address of documentation (RFC 5737): nobody is there."""


def test_what_is_sent_without_an_address_goes_where_a_connect_was_judged() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
        network_guard() as guard,
    ):
        assert client.sendmsg([b"hello"]) == 5
    assert guard.refused == []


@pytest.mark.skipif(not socket.has_ipv6, reason="a machine without IPv6")
def test_ipv6_is_judged_by_host_and_port_too() -> None:
    with network_guard([("::1", 1)]) as guard, socket.socket(socket.AF_INET6) as tcp:
        # Nobody is there, but it may be asked.
        assert tcp.connect_ex(("::1", 1)) in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL)
        assert guard.refused == []
        with pytest.raises(NetworkRefused):
            tcp.connect(("2001:db8::1", 443))
    assert str(guard.refused[0]) == "socket.connect to [2001:db8::1]:443"


@pytest.mark.parametrize(
    ("allowed", "reached"),
    [
        ("fe80::1", "fe80::1%eth0"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        (PUBLIC, f"::ffff:{PUBLIC}"),
        (f"::ffff:{PUBLIC}", PUBLIC),
        ("::1", "127.0.0.1"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(allowed: str, reached: str) -> None:
    with network_guard([(allowed, 443)]) as guard:
        # As Python tells of a connect; where it leads depends on the machine.
        tcp = SimpleNamespace(family=socket.AF_INET6)
        sys.audit("socket.connect", tcp, (reached, 443, 0, 2))
    assert guard.refused == []


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "localhost",
        b"localhost",
        bytearray(b"localhost"),
        "LOCALHOST.",
        "fake.localhost",
        "127.9.9.9",
        "::1",
        "::ffff:127.0.0.1",
        PUBLIC,
    ],
)
def test_this_machine_and_addresses_may_be_looked_up(host: Any) -> None:
    with network_guard() as guard:
        # As Python tells of a lookup; what it finds depends on the machine.
        sys.audit("socket.getaddrinfo", host, 443, 0, 0, 0)
    assert guard.refused == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_name_of_this_machine_may_be_looked_up(host: str) -> None:
    with network_guard() as guard:
        socket.getnameinfo((host, 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    assert guard.refused == []


@pytest.mark.parametrize("spelling", ["Track.Example", "track.example.", b"track.example"])
def test_a_name_is_allowed_at_the_addresses_it_has(
    spelling: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def found(host: str, port: int, **how: Any) -> list[Any]:
        looked_up.append(host)
        # As the real one: a guard is asked, and the one who allows a name is not refused it.
        sys.audit("socket.getaddrinfo", host, port, 0, 0, 0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("fake_server.testing.guard.socket.getaddrinfo", found)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        network_guard() as guard,
    ):
        guard.allow("track.example", listening.getsockname()[1])
        sys.audit("socket.gethostbyname", spelling)
        assert guard.refused == []
        with socket.socket() as tcp:
            tcp.connect(listening.getsockname())
        with pytest.raises(NetworkRefused):
            socket.gethostbyname("other.example")
    assert looked_up == ["track.example"]
    assert guard.refused == [Refused("socket.gethostbyname", "other.example")]


def test_a_name_that_has_no_address_cannot_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(host: str, port: int, **how: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("fake_server.testing.guard.socket.getaddrinfo", not_found)
    with network_guard() as guard:
        with pytest.raises(OSError, match=r"none\.example is to be allowed but has no address: "):
            guard.allow("none.example", 443)
        # That one lookup was free, and no other is.
        with pytest.raises(NetworkRefused):
            socket.gethostbyname("none.example")


@pytest.mark.parametrize(
    "call",
    [
        lambda tcp: socket.gethostbyname("track.example"),
        lambda tcp: tcp.connect((PUBLIC, 443)),
    ],
)
def test_of_nested_guards_the_inner_one_is_asked_too(call: Callable[[Any], object]) -> None:
    with network_guard([(PUBLIC, 443)]) as outer, network_guard() as inner:
        outer._names |= {"track.example"}
        with socket.socket() as tcp, pytest.raises(NetworkRefused):
            call(tcp)
    assert outer.refused == []
    assert len(inner.refused) == 1
