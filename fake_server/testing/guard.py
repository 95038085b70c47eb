"""The network guard: inside it, this process reaches nothing but what was allowed.

It stands on Python's audit events (PEP 578), so it sees what the ``socket`` module does for
anybody: sync code, asyncio, trio, httpx, aiohttp, websockets, in any thread.

What it does not see: child processes; libraries that call the operating system themselves (uvloop,
gRPC, database drivers in C); connections that were open before; and the lookup of a name that is
given straight to ``socket.connect``, which Python makes before it tells (then it is refused).
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

__all__ = ["Guard", "NetworkRefused", "Refused", "network_guard"]


class NetworkRefused(OSError):
    """What a guarded call gets; its ``errno`` is EACCES, as of a local firewall.

    An OSError, so that libraries clean up behind it as behind any failure of a network; which also
    means that they may swallow it: :attr:`Guard.refused` remembers.
    """


class Refused(msgspec.Struct, frozen=True):
    """What was refused: ``call`` as ``socket.connect``; no ``port`` for a looked-up name."""

    call: str
    host: str
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.call} to {self._target}"

    @property
    def _target(self) -> str:
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Guard:
    """What may be reached, and ``refused``: what was not, for the test to fail at its end.

    Get it from :func:`network_guard`.
    """

    def __init__(self) -> None:
        self.refused: list[Refused] = []
        self._allowed: frozenset[tuple[str, int]] = frozenset()
        self._names: frozenset[str] = frozenset()
        self._told: tuple[str, ...] = ()

    def allow(self, host: str, port: int) -> None:
        """Let ``host`` be reached at ``port``, from now on.

        Any name of this machine stands for all of them: ``localhost``, ``127.0.0.1``, ``::1``. A
        name of another machine is looked up here, once: it is allowed at the addresses it has now.
        """
        host = _plain(host)
        hosts = {host}
        if not _is_loopback(host) and not _is_address(host):
            try:
                # Not under guard itself: to allow a name is to allow its lookup.
                with _unguarded():
                    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except OSError as error:
                raise OSError(
                    f"network_guard: {host} is to be allowed but has no address: {error}"
                ) from error
            hosts |= {_plain(str(address[0])) for *_, address in found}
        # Other threads read these: they are replaced, never changed.
        self._names |= hosts
        self._allowed |= {(_one_loopback(each), port) for each in hosts}
        self._told += (Refused("", host, port)._target,)

    def _judge(self, refused: Refused) -> None:
        if refused.port is None:
            if refused.host in self._names:
                return
        elif (_one_loopback(refused.host), refused.port) in self._allowed:
            return
        self.refused.append(refused)
        allowed = ", ".join(self._told) or "nothing"
        to_allow = refused.host, refused.port or "port"
        raise NetworkRefused(
            errno.EACCES,
            f"network guard: {refused} is refused; allowed: {allowed}. To allow it, "
            f"network_guard(allowed=[{_pair(to_allow)}]) or guard.allow{_pair(to_allow)}",
        )


@contextmanager
def network_guard(allowed: Iterable[tuple[str, int]] = ()) -> Iterator[Guard]:
    """While it lasts, let this process reach ``allowed`` (host and port) and Unix sockets only.

    Anything else raises :class:`NetworkRefused` in the code that tried, in every thread. Addresses
    and the names of this machine may be looked up freely, other names only if allowed. To listen is
    not guarded. Of nested guards each must allow what is reached.
    """
    guard = Guard()
    for host, port in allowed:
        guard.allow(host, port)
    _install()
    _set(lambda active: (*active, guard))
    try:
        yield guard
    finally:
        _set(lambda active: tuple(each for each in active if each is not guard))


# The hook

_active: tuple[Guard, ...] = ()
_installed = False
_lock: Final = threading.Lock()
_here: Final = threading.local()


def _set(change: Callable[[tuple[Guard, ...]], tuple[Guard, ...]]) -> None:
    global _active
    with _lock:
        _active = change(_active)


def _install() -> None:
    """A hook can never be taken away again: there is one, and only where a guard was asked for."""
    global _installed
    with _lock:
        if not _installed:
            sys.addaudithook(_hook)
            _installed = True


@contextmanager
def _unguarded() -> Iterator[None]:
    _here.off = True
    try:
        yield
    finally:
        _here.off = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _active:
        return
    find = _EVENTS.get(event)
    if find is None or getattr(_here, "off", False):
        return
    refused = find(event, args)
    if refused is not None:
        for guard in _active:
            guard._judge(refused)


def _reached(event: str, args: tuple[Any, ...]) -> Refused | None:
    """Of a call that sends somewhere. Without an address it goes where a connect was judged."""
    sock, address = args[0], args[1]
    if address is None or sock.family == getattr(socket, "AF_UNIX", None):
        return None
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        return Refused(event, _plain(str(address[0])), int(address[1]))
    return Refused(event, f"{socket.AddressFamily(sock.family).name} {address!r}")


def _looked_up(event: str, args: tuple[Any, ...]) -> Refused | None:
    """Of the lookup of a name. An address is no name, and no host means this one."""
    host = _host_of(args[0])
    if not host or _is_address(host) or _is_loopback(host):
        return None
    return Refused(event, host)


def _looked_up_backwards(event: str, args: tuple[Any, ...]) -> Refused | None:
    """Of the lookup of an address' name."""
    host = _host_of(args[0][0] if isinstance(args[0], tuple) else args[0])
    return None if _is_loopback(host) else Refused(event, host)


_EVENTS: Final[dict[str, Callable[[str, tuple[Any, ...]], Refused | None]]] = {
    "socket.connect": _reached,
    "socket.sendto": _reached,
    "socket.sendmsg": _reached,
    "socket.getaddrinfo": _looked_up,
    "socket.gethostbyname": _looked_up,
    "socket.gethostbyaddr": _looked_up_backwards,
    "socket.getnameinfo": _looked_up_backwards,
}
"""``connect_ex`` and ``gethostbyname_ex`` raise the events of their plain names."""


def _host_of(given: object) -> str:
    if isinstance(given, bytes | bytearray):
        given = given.decode("ascii", "replace")
    return _plain(str(given or ""))


def _plain(host: str) -> str:
    """In one spelling: lower case, without a final dot or the zone of an address."""
    return host.lower().removesuffix(".").partition("%")[0]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and _unmapped(host).is_loopback


def _unmapped(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def _one_loopback(host: str) -> str:
    if _is_loopback(host):
        return "localhost"
    return str(_unmapped(host)) if _is_address(host) else host


def _pair(host_and_port: tuple[str, int | str]) -> str:
    host, port = host_and_port
    return f'("{host}", {port})'
