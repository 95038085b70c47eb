"""What a server does when the control API is told to: each takes a request and returns the answer.

A ``number`` is that of the path, 0 where it has none.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Final

from fake_server.admin.reading import Refused, Values, body_of, done, number_of, query_of, shown
from fake_server.exchange import HttpRequest
from fake_server.faults import injection_from
from recorder.wire.frames import CloseCode

if TYPE_CHECKING:
    from fake_server.server import FakeServer

__all__ = [
    "add_fault",
    "advance_sessions",
    "drop_all",
    "drop_one",
    "forget_violations",
    "login",
    "ping",
    "playback",
    "push",
    "remove_fault",
    "remove_faults",
    "reset",
]

_ACTIONS: Final = ("pause", "resume", "step", "seek", "speed")


def playback(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Pause, resume, step, seek or set the speed."""
    values = Values(body_of(request))
    action = values.take("action", str, f"one of {', '.join(_ACTIONS)}")
    control = server.control
    match action:
        case "pause":
            act = control.pause
        case "resume":
            act = control.resume
        case "step":
            cues = values.take("cues", int, "a count, 1 or more", default=1)
            act = functools.partial(control.step, cues)
        case "seek":
            seconds = values.take("position_s", float, "seconds behind the start of playback")
            act = functools.partial(control.seek, seconds)
        case "speed":
            factor = values.take("speed", float | str, 'a factor above 0, or "max"')
            if isinstance(factor, str) and factor != "max":
                raise Refused(f'speed: read {factor[:80]!r}, expected a number or "max"')
            act = functools.partial(control.set_speed, math.inf if factor == "max" else factor)
        case _:
            expected = ", ".join(_ACTIONS)
            raise Refused(f"action: read {action[:80]!r}, expected one of {expected}")
    values.check_all_taken()
    done(act)
    return {"playback": control.status()["playback"]}


def add_fault(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Set a fault."""
    body = body_of(request)
    values = {name: Values(body).take(name, Any, "a smaller number") for name in body}
    return {"number": server.faults.add(done(lambda: injection_from(values)))}


def remove_faults(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Take all faults away."""
    query_of(request)
    count = len(server.faults.injections)
    server.faults.clear()
    return {"removed": count}


def remove_fault(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Take one fault away."""
    query_of(request)
    if not server.faults.remove(number):
        there = ", ".join(map(str, server.faults.injections)) or "none"
        raise Refused(f"there is no fault {number}; there are: {there}", status=404)
    return {"removed": 1}


def forget_violations(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Forget what clients did against the manual."""
    query_of(request)
    count = server.violations.counts.total()
    server.violations.clear()
    return {"forgotten": count}


def advance_sessions(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Let time pass for sessions."""
    values = Values(body_of(request))
    seconds = values.take("advance_s", float, "seconds, 0 or more")
    values.check_all_taken()
    done(functools.partial(server.control.advance, seconds))
    return {"sessions": server.control.status()["sessions"]}


def login(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Log an account in."""
    values = Values(body_of(request))
    email = values.take("email", str | None, "the email of an account", default=None)
    values.check_all_taken()
    return {"cookie": done(lambda: server.control.login(email))}


def ping(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Send a PING."""
    values = Values(body_of(request))
    socket = values.take("socket", int | None, "the number of an open socket", default=None)
    values.check_all_taken()
    return {"pinged": done(lambda: server.control.ping(socket))}


def push(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Send a message, just as it is written."""
    body = body_of(request)
    values = Values(body)
    if ("message" in body) == ("text" in body):
        raise Refused(
            f"read {'both' if 'text' in body else 'neither'} of 'message' and 'text', expected"
            " one: a JSON object, or a string that is sent as it is"
        )
    if "message" in body:
        # Kept as it was written: 1.0 is not 1.
        message = bytes(values.take_raw("message"))
        if not message.startswith(b"{"):
            raise Refused(
                f"message: read {shown(message)}, expected a JSON object; 'text' sends any"
            )
    else:
        message = values.take("text", str, "a string").encode()
    socket = values.take("socket", int | None, "the number of an open socket", default=None)
    values.check_all_taken()
    return {"sent": done(lambda: server.control.push(message, socket=socket))}


def drop_all(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """End all sockets."""
    return _drop(server, request, None)


def drop_one(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """End one socket."""
    return _drop(server, request, number)


def _drop(server: FakeServer, request: HttpRequest, socket: int | None) -> Any:
    query = query_of(request, "how", "code", "reason")
    written = query.get("code", str(int(CloseCode.GOING_AWAY)))
    code = number_of(written)
    if code is None:
        raise Refused(f"code: read {written[:80]!r}, expected a close code from 0 to 65535")
    how: Any = query.get("how", "close")
    reason = query.get("reason", "")
    drop = functools.partial(server.control.drop, socket=socket, how=how, code=code, reason=reason)
    return {"dropped": done(drop)}


def reset(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Be as after the start."""
    query_of(request)
    server.control.reset()
    return {"reset": True}
