"""The steps ``url``, ``dns`` and ``tcp``: from text to an open connection."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

import msgspec
import trio

from recorder.backend import Backend
from recorder.doctor.results import Result, fail, ok, warn
from recorder.doctor.surroundings import Address
from recorder.doctor.visit import CONNECT_S, Visit, milliseconds

__all__ = ["dns_step", "tcp_step", "url_step"]

_RESOLVE_S: Final = 10.0
_MAX_ADDRESSES: Final = 8
_NO_IPV6: Final = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def url_step(visit: Visit) -> Result:
    """Read the URL; sets ``backend``."""
    try:
        visit.backend = Backend.parse(visit.url)
    except ValueError as error:
        return fail(
            "url",
            str(error),
            means="This is no address of a backend.",
            do="Give its base URL, as https://track.example.com.",
        )
    seen = [f"{visit.backend.http_url}, its socket {visit.backend.socket_url}"]
    if visit.backend.prefix:
        seen.append(f"the API is behind the path {visit.backend.prefix}")
    return ok("url", *seen)


# DNS


async def dns_step(visit: Visit) -> Result:
    """Look the host's name up; sets ``addresses``."""
    host, port = visit.backend.host, visit.backend.port
    began_s = trio.current_time()
    try:
        with trio.fail_after(_RESOLVE_S):
            visit.addresses = await visit.surroundings.resolve(host, port)
    except trio.TooSlowError:
        return fail(
            "dns",
            f"no answer for {host} within {_RESOLVE_S:g} s",
            means="This machine's name servers do not answer.",
            do="Check the network, a VPN, and the name servers of this machine.",
        )
    except OSError as error:
        return _not_found(host, error)
    took = milliseconds(trio.current_time() - began_s)
    if _is_address(host):
        return ok("dns", f"{host} is an address, there is no name to look up")
    found = ", ".join(map(str, visit.addresses[:_MAX_ADDRESSES]))
    return ok("dns", f"{host} is {found}", f"found in {took}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _not_found(host: str, error: OSError) -> Result:
    number = error.errno if isinstance(error, socket.gaierror) else None
    said = error.strerror or str(error)
    if number == socket.EAI_NONAME:
        return fail(
            "dns",
            f"there is no name {host}: {said}",
            means="The name servers answer, and know no such name.",
            do="Check the spelling; a name inside of a company needs its network or VPN.",
        )
    if number == getattr(socket, "EAI_NODATA", None):
        return fail(
            "dns",
            f"{host} has no address: {said}",
            means="The name is there, but no IPv4 or IPv6 address is set for it.",
            do="Tell whoever keeps the name.",
        )
    if number == socket.EAI_AGAIN:
        return fail(
            "dns",
            f"{host} cannot be looked up now: {said}",
            means="No name server could be asked: this machine has no network, or its name"
            " servers are wrong. It says nothing about the name.",
            do="Check the network, a VPN, and the name servers of this machine.",
        )
    return fail(
        "dns",
        f"{host} cannot be looked up: {said}",
        means="The lookup itself failed, on this machine or at its name server.",
        do="Check the name servers of this machine.",
    )


# TCP


class _Attempt(msgspec.Struct, frozen=True):
    """One address tried: how long it took, and why not."""

    address: Address
    took_s: float
    errno: int | None = None
    said: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.said)

    @property
    def is_without_ipv6(self) -> bool:
        """Whether it failed because there is no IPv6 here at all."""
        return self.address.family == socket.AF_INET6 and self.errno in _NO_IPV6

    def describe(self) -> str:
        took = milliseconds(self.took_s)
        return f"{self.address}: " + (self.said if self.failed else f"connected in {took}")


async def tcp_step(visit: Visit) -> Result:
    """Connect to every address at once; sets ``address`` and ``tcp`` to the first that works."""
    streams: dict[Address, trio.abc.Stream] = {}
    attempts: dict[Address, _Attempt] = {}
    addresses = visit.addresses[:_MAX_ADDRESSES]

    async def attempt(address: Address) -> None:
        attempts[address] = await _attempt(visit, address, streams)

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                nursery.start_soon(attempt, address)
        visit.address = next((one for one in addresses if one in streams), None)
        if visit.address is not None:
            visit.tcp = streams.pop(visit.address)
    finally:
        with trio.CancelScope(shield=True):
            for stream in streams.values():
                await trio.aclose_forcefully(stream)
    return _judge_tcp(visit, [attempts[address] for address in addresses])


async def _attempt(
    visit: Visit, address: Address, streams: dict[Address, trio.abc.Stream]
) -> _Attempt:
    began_s = trio.current_time()
    number: int | None = None
    try:
        with trio.fail_after(CONNECT_S):
            streams[address] = await visit.surroundings.connect(address)
        said = ""
    except trio.TooSlowError:
        number, said = errno.ETIMEDOUT, f"no answer within {CONNECT_S:g} s"
    except OSError as error:
        number, said = error.errno, _in_words(error)
    return _Attempt(address, trio.current_time() - began_s, number, said)


def _in_words(error: OSError) -> str:
    known = {
        errno.ECONNREFUSED: "refused",
        errno.ETIMEDOUT: "no answer",
        errno.EHOSTUNREACH: "no route to the host",
        errno.ENETUNREACH: "no route to the network",
    }
    return known.get(error.errno or 0) or error.strerror or str(error) or type(error).__name__


def _judge_tcp(visit: Visit, attempts: list[_Attempt]) -> Result:
    seen = [attempt.describe() for attempt in attempts]
    failed = [attempt for attempt in attempts if attempt.failed]
    if not failed:
        return ok("tcp", *seen)
    if len(failed) < len(attempts):
        if all(attempt.is_without_ipv6 for attempt in failed):
            return ok("tcp", *seen, means="This network has no IPv6; IPv4 does.")
        return warn(
            "tcp",
            *seen,
            means="Clients that try the addresses side by side (RFC 8305, happy eyeballs) hardly"
            " notice; others wait for an address that does not work before they try the next.",
            do="Mend the address that fails, or take it out of DNS.",
        )
    proxies = visit.surroundings.proxies()
    if proxies:
        seen.append(f"{' and '.join(proxies)} is set, but proxies are not used")
    numbers = {attempt.errno for attempt in failed}
    port = visit.backend.port
    if numbers <= {errno.ECONNREFUSED}:
        means = f"The machine is there, but nothing listens at port {port}, or a firewall refuses."
        do = "Check the port, and that the backend, or the proxy before it, runs."
    elif numbers <= {errno.EHOSTUNREACH, errno.ENETUNREACH}:
        means = "This machine knows no way there: it has no network, or the wrong one."
        do = "Check the network and a VPN."
    elif errno.ETIMEDOUT in numbers:
        means = "Nobody says no: a firewall drops what is sent, or no machine is there any more."
        do = f"Ask whether connections from here to port {port} are let through; check a VPN."
    else:
        means = "The operating system could not connect."
        do = "Check the network and the port."
    return fail("tcp", *seen, means=means, do=do)
