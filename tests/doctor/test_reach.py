"""The steps url, dns and tcp."""

from __future__ import annotations

import errno
import socket
import sys

import pytest
import trio
import trio.testing

from recorder.doctor import Address, Surroundings
from recorder.exits import Exit
from tests.doctor.support import V4, V6, backend, examine, outcomes, says


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://track.example", "the scheme 'ftp' is none of"),
        ("https://", "names no host"),
        ("https://kim:hunter2hunter2@track.example", "no credentials in a URL"),
        ("https://track.example:0", "port is no number"),
    ],
)
async def test_a_url_that_is_none_stops_it_at_once(url: str, words: str) -> None:
    results = await examine(url=url)
    says(results["url"], "fail", words, "Give its base URL", exit_code=Exit.USAGE)
    assert "hunter2" not in repr(results)
    assert outcomes(results) == "f" + "s" * 11
    assert results["close"].seen == ("url failed",)


async def test_a_path_before_the_api_is_told() -> None:
    results = await examine(backend(prefix="/track"), url="http://track.example/track/api/")
    says(results["url"], "ok", "ws://track.example/track/api/socket", "behind the path /track")


@pytest.mark.parametrize("host", ["bücher.example", "日本.example"])
async def test_a_url_beyond_ascii_is_asked_for_as_the_wire_wants_it(host: str) -> None:
    ascii_host = host.encode("idna").decode()
    results = await examine(backend(prefix="/%C3%BC%20x"), url=f"http://{host}/ü x/")
    says(results["url"], "ok", f"http://{ascii_host}/%C3%BC%20x, its socket")
    says(results["login"], "ok", "200 OK")


# DNS


@pytest.mark.parametrize(
    ("number", "seen", "means", "do"),
    [
        ("EAI_NONAME", "there is no name track.example", "know no such name", "the spelling"),
        ("EAI_NODATA", "track.example has no address", "no IPv4 or IPv6 address", "keeps the name"),
        ("EAI_AGAIN", "cannot be looked up now", "No name server could be asked", "the network"),
        ("EAI_FAIL", "cannot be looked up", "The lookup itself failed", "name servers"),
    ],
)
async def test_a_name_that_is_not_found(number: str, seen: str, means: str, do: str) -> None:
    async def resolve(host: str, port: int) -> list[Address]:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(getattr(socket, number), "the system's words")

    results = await examine(resolve=resolve)
    says(results["dns"], "fail", seen, means, do, "the system's words", exit_code=Exit.UNREACHABLE)
    assert outcomes(results) == "of" + "s" * 10


async def test_name_servers_that_do_not_answer(autojump_clock: trio.testing.MockClock) -> None:
    async def resolve(host: str, port: int) -> list[Address]:
        await trio.sleep_forever()
        raise AssertionError

    results = await examine(resolve=resolve)
    says(
        results["dns"],
        "fail",
        "no answer for track.example within 10 s",
        "name servers do not answer",
        exit_code=Exit.UNREACHABLE,
    )
    assert trio.current_time() == pytest.approx(10)


async def test_the_real_lookup_knows_no_invalid_name() -> None:
    # RFC 6761: it is answered without a network, or there is none to ask.
    with pytest.raises(socket.gaierror):
        await Surroundings().resolve("nobody.invalid", 80)


async def test_the_addresses_are_told_with_their_family() -> None:
    results = await examine(backend(), addresses=(V6, V4))
    says(results["dns"], "ok", "track.example is 2001:db8::1 (IPv6), 192.0.2.1 (IPv4)")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_an_address_needs_no_lookup(host: str) -> None:
    results = await examine(backend(), url=f"http://{host}")
    says(results["dns"], "ok", "is an address, there is no name to look up")


# TCP


@pytest.mark.parametrize(
    ("number", "seen", "means", "do"),
    [
        (errno.ECONNREFUSED, "refused", "nothing listens at port 80", "Check the port"),
        (errno.EHOSTUNREACH, "no route to the host", "knows no way there", "a VPN"),
        (errno.ENETUNREACH, "no route to the network", "knows no way there", "a VPN"),
        (errno.ETIMEDOUT, "no answer", "a firewall drops", "let through"),
        (errno.EMFILE, "Too many open files", "could not connect", "the network"),
    ],
)
async def test_no_connection(number: int, seen: str, means: str, do: str) -> None:
    async def connect(address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise OSError(number, "Too many open files")

    results = await examine(connect=connect)
    says(
        results["tcp"],
        "fail",
        f"192.0.2.1 (IPv4): {seen}",
        means,
        do,
        exit_code=Exit.UNREACHABLE,
    )
    assert outcomes(results) == "oof" + "s" * 9


async def test_an_address_that_swallows_connections(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def connect(address: Address) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    results = await examine(connect=connect, addresses=(V6, V4), proxies=("HTTPS_PROXY",))
    says(
        results["tcp"],
        "fail",
        "192.0.2.1 (IPv4): no answer within 10 s",
        "HTTPS_PROXY is set, but proxies are not used",
        "a firewall drops",
        exit_code=Exit.UNREACHABLE,
    )
    # Both at once.
    assert trio.current_time() == pytest.approx(10)


async def test_one_address_that_does_not_work_is_a_warning() -> None:
    tried: list[Address] = []

    async def connect(address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        tried.append(address)
        if address == V6:
            raise OSError(errno.ECONNREFUSED, "")
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.aclose()
        return ours

    results = await examine(connect=connect, addresses=(V6, V4))
    says(
        results["tcp"],
        "warn",
        "2001:db8::1 (IPv6): refused",
        "192.0.2.1 (IPv4): connected in",
        "happy eyeballs",
        "take it out of DNS",
    )
    # What comes after goes where it works.
    assert tried[2:]
    assert set(tried[2:]) == {V4}


@pytest.mark.parametrize(("number", "outcome"), [("ENETUNREACH", "ok"), ("EHOSTUNREACH", "warn")])
async def test_a_network_without_ipv6_is_nothing_to_worry_about(number: str, outcome: str) -> None:
    async def connect(address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        if address == V6:
            raise OSError(getattr(errno, number), "")
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.aclose()
        return ours

    results = await examine(connect=connect, addresses=(V6, V4))
    assert results["tcp"].outcome == outcome
    assert ("has no IPv6" in results["tcp"].means) == (outcome == "ok")


async def test_of_several_addresses_the_first_is_kept_and_the_others_are_closed() -> None:
    ends: dict[Address, trio.abc.Stream] = {}

    async def connect(address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        ours, ends[address] = trio.testing.memory_stream_pair()
        if address == V6:
            await ends[address].aclose()
        return ours

    results = await examine(connect=connect, addresses=(V6, V4), credentials=None)
    says(results["tcp"], "ok", "2001:db8::1 (IPv6): connected", "192.0.2.1 (IPv4): connected")
    assert await ends[V4].receive_some() == b""


async def test_the_real_connection_says_that_it_is_refused() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    real = Surroundings()
    results = await examine(
        url=f"http://127.0.0.1:{port}", resolve=real.resolve, connect=real.connect
    )
    says(results["tcp"], "fail", "127.0.0.1 (IPv4): refused", exit_code=Exit.UNREACHABLE)


def test_an_address_of_an_odd_family_can_be_shown() -> None:
    if sys.platform == "linux":
        assert str(Address(int(socket.AF_UNIX), ("x",))) == "x (other)"
