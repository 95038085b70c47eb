"""The steps ``push``, ``ping`` and ``close``: whether the socket lives (manual section 3)."""

from __future__ import annotations

import os
from typing import Final

import trio

from recorder.doctor.results import Result, fail, ok, skipped, warn
from recorder.doctor.socket import LiveSocket
from recorder.doctor.visit import Visit, milliseconds
from recorder.wire.frames import CloseCode

__all__ = ["close_step", "ping_step", "push_step"]

_QUIET_S: Final = 1.0
"""The first push is over when nothing came for so long."""

_SETTLE_S: Final = 1.0
"""How long a server that dislikes a pong may take to close."""

_CONTROL_S: Final = 5.0
_CLOSE_S: Final = 5.0
_END_S: Final = 2.0

_NO_SOCKET: Final = "there is no socket without a login"

_OBJECTS: Final = ("devices", "beacons", "positions")


async def push_step(visit: Visit) -> Result:
    """What comes unasked after the opening (manual section 3, Initial Data Push)."""
    socket = visit.socket
    if socket is None:
        return skipped("push", _NO_SOCKET)
    ends_s = trio.current_time() + visit.options.push_s
    await socket.listen(lambda: _has_objects(socket), visit.options.push_s)
    # The interval of the quiet begins anew with each message, the whole does not.
    known = 0
    while known < socket.messages and not socket.over:
        known = socket.messages
        await _more_than(socket, known, min(_QUIET_S, ends_s - trio.current_time()))
    return _judge_push(visit, socket)


def _has_objects(socket: LiveSocket) -> bool:
    return any(socket.kinds[kind] for kind in _OBJECTS)


async def _more_than(socket: LiveSocket, known: int, within_s: float) -> None:
    await socket.listen(lambda: socket.messages > known, within_s)


def _judge_push(visit: Visit, socket: LiveSocket) -> Result:
    seen = []
    if socket.first_s is not None:
        kinds = ", ".join(
            f"{kind} {socket.objects[kind] or count}"
            for kind, count in sorted(socket.kinds.items())
        )
        messages = "1 message" if socket.messages == 1 else f"{socket.messages} messages"
        seen.append(f"{messages}, {socket.size_bytes} bytes: {kinds}")
        seen.append(f"the first after {milliseconds(socket.first_s - socket.opened_s)}")
    if socket.over:
        return _ended(visit, "push", socket, seen)
    if socket.problems:
        seen += [f"against the protocol: {problem}" for problem in socket.problems[:3]]
        return warn(
            "push",
            *seen,
            means="The server, or something in between, breaks the protocol; strict clients close"
            " the socket here.",
            do="Record it with -o and give that to whoever runs the backend.",
        )
    if not seen:
        return warn(
            "push",
            f"nothing within {visit.options.push_s:g} s",
            means="A backend sends all devices, beacons and positions at first. The account sees"
            " none, or something in between holds them back (a proxy that buffers).",
            do="Compare with REST above; have devices assigned, or buffering turned off.",
        )
    if not _has_objects(socket):
        return warn(
            "push",
            *seen,
            means="It speaks, but sends no device, beacon or position: the account sees none.",
            do="Compare with REST above; have devices assigned to the account.",
        )
    return ok("push", *seen, means="Data comes.")


async def ping_step(visit: Visit) -> Result:
    """One PING of the backend, its pong, and that the socket outlives it (manual section 3.3)."""
    socket = visit.socket
    if socket is None:
        return skipped("ping", _NO_SOCKET)
    wait_s, known = visit.options.wait_s, socket.messages
    if not await socket.listen(lambda: bool(socket.answered), wait_s):
        if socket.over:
            return _ended(visit, "ping", socket, [])
        seen = [f"no PING within {wait_s:g} s"]
        echo = await _echo(socket)
        if socket.over:
            return _ended(visit, "ping", socket, seen)
        if echo is None and socket.messages == known:
            return _dead(seen)
        return warn(
            "ping",
            *seen,
            echo or _NO_ECHO,
            means="A backend sends one every 30 s unless it is set otherwise. If none ever comes,"
            " nobody notices a dead connection.",
            do="Wait longer with --wait; ask for the interval of this backend.",
        )
    seen = [f"a PING {socket.answered[0] - socket.opened_s:.1f} s after the opening, answered"]
    await socket.listen(lambda: False, _SETTLE_S)
    if not socket.over:
        echo = await _echo(socket)
        if echo is not None:
            return ok("ping", *seen, echo, means="The socket lives on.")
    if socket.over:
        return _ended(visit, "ping", socket, seen)
    return warn(
        "ping",
        *seen,
        _NO_ECHO,
        means="The socket is open, but the server does not answer as RFC 6455 says, or the way to"
        " it is blocked.",
        do="Record for some minutes and see whether the socket is lost.",
    )


_NO_ECHO: Final = f"a ping frame of ours did not come back within {_CONTROL_S:g} s"


async def _echo(socket: LiveSocket) -> str | None:
    """Send a ping frame and wait for its pong (RFC 6455 section 5.5.2): how long it took, in words,
    or None if none came.
    """
    payload = os.urandom(8)
    began_s = trio.current_time()
    await socket.ping(payload)
    if not await socket.listen(lambda: payload in socket.control_pongs, _CONTROL_S):
        return None
    return f"a ping frame of ours came back after {milliseconds(trio.current_time() - began_s)}"


def _dead(seen: list[str]) -> Result:
    return fail(
        "ping",
        *seen,
        _NO_ECHO,
        means="Nothing comes through the socket though nobody closed it: the server hangs, or"
        " something in between forgot the connection.",
        do="Look into the logs of the backend and of what is before it.",
    )


async def close_step(visit: Visit) -> Result:
    """The closing handshake (RFC 6455 section 7)."""
    socket = visit.socket
    if socket is None:
        return skipped("close", _NO_SOCKET)
    began_s = trio.current_time()
    await socket.say_goodbye(CloseCode.NORMAL)
    await socket.listen(lambda: socket.close is not None, _CLOSE_S)
    took = milliseconds(trio.current_time() - began_s)
    if socket.close is None:
        how = socket.ended or f"no close frame within {_CLOSE_S:g} s"
        return warn(
            "close",
            f"1000 was not answered: {how}",
            means="The server does not close in order; clients that wait for it are held up.",
            do="Nothing, if all else is well.",
        )
    code = socket.close.close_code
    seen = [f"1000 was answered with {'no code' if code is None else code} in {took}"]
    if not await socket.wait_for_end(_END_S):
        seen.append("the connection was left open")
    return ok("close", *seen)


_CODES: Final[dict[int | None, tuple[str, str]]] = {
    1001: (
        "The server goes away, or lost its patience: it restarts, or did not get the pong of a"
        " PING.",
        "Try again; see whether something in between holds back what is sent to the server.",
    ),
    1008: (
        "The server refuses this client by its policy.",
        "Ask whoever runs the backend; check the account.",
    ),
    1011: ("The server failed.", "Look into the backend's log."),
}


def _ended(visit: Visit, step: str, socket: LiveSocket, seen: list[str]) -> Result:
    """The socket ended where it should have lived on."""
    lived_s = trio.current_time() - socket.opened_s
    why = visit.journal.shown(socket.why_over())
    seen = [*seen, f"the socket ended after {lived_s:.1f} s: {why}"]
    seen += [f"against the protocol: {problem}" for problem in socket.problems[:3]]
    if socket.close is not None:
        means, do = _CODES.get(
            socket.close.close_code,
            ("The server ended it by itself.", "Look into the backend's log."),
        )
    else:
        means, do = (
            "Something in between, or the backend, cut the connection without a word: often a"
            " proxy's timeout for idle connections, or a restart.",
            "Compare with the proxy's timeouts (nginx: proxy_read_timeout) and its log.",
        )
    return fail("ping" if step == "ping" else "push", *seen, means=means, do=do)
