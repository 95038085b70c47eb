"""The control API under ``/__admin``: JSON over HTTP, for tests in any language and for people.

Whoever reaches it steers the server, so it is for this machine alone unless a token opens it. Web
pages are kept out: there are no CORS headers, a request with an ``Origin`` is refused, and so is a
``Host`` that is not of this machine, for a page may have pointed its own name at us (DNS
rebinding). ``docs/control.md`` describes the API.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from fake_server.control import Control
from fake_server.exchange import ADMIN_PATH, Answer, Headers, HttpRequest, json_answer
from fake_server.expectations import Expectation, ExpectationFailed
from fake_server.faults import injection_from
from fake_server.journal import Doing
from recorder.track.violations import RULES
from recorder.wire.frames import CloseCode

__all__ = ["Admin"]

_ROOT: Final = ADMIN_PATH

_LOCAL_HOST: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)

_ACTIONS: Final = ("pause", "resume", "step", "seek", "speed")

_MAX_NUMBER_DIGITS: Final = 9

_Handler: TypeAlias = Callable[["Admin", HttpRequest, int], Any]


class _Refused(Exception):
    """A request is not done; what it is answered. Without a status it is 400."""

    def __init__(self, error: str, *, status: int = 400, headers: Headers = ()) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.headers = headers


class Admin:
    """Answers the requests under ``/__admin``; never raises.

    ``token`` opens the API to other machines: then every request needs
    ``Authorization: Bearer <token>``. It is shown nowhere.
    """

    def __init__(self, control: Control, *, token: str | None) -> None:
        """Raises ValueError on an empty token, which would be none."""
        if token == "":
            raise ValueError("the admin token is empty: expected a text that nobody guesses")
        self._control = control
        self._token = token

    def __call__(self, request: HttpRequest) -> Answer:
        """The answer to a request, always JSON."""
        try:
            self._admit(request)
            done = self._do(request)
        except _Refused as refused:
            return _answer({"error": refused.error}, refused.status, refused.headers)
        return done if isinstance(done, Answer) else _answer(done)

    # Who may

    def _admit(self, request: HttpRequest) -> None:
        if any(name == "origin" for name, _ in request.headers):
            raise _Refused("web pages may not use this: the request has an Origin", status=403)
        if self._token is not None:
            given = request.header("authorization").encode("iso-8859-1")
            if not hmac.compare_digest(given, b"Bearer " + self._token.encode()):
                raise _Refused(
                    "expected Authorization: Bearer and the token that the server was started with",
                    status=401,
                    headers=(("WWW-Authenticate", 'Bearer realm="tracktape"'),),
                )
            return
        if not _is_local(request.peer):
            raise _Refused(
                "only this machine may use this, unless the server is started with a token",
                status=403,
            )
        if not _LOCAL_HOST.fullmatch(request.header("host")):
            raise _Refused(
                f"Host: read {request.header('host')[:80]!r}, expected localhost, 127.0.0.1 or"
                " [::1], unless the server is started with a token",
                status=403,
            )

    # What is done

    def _do(self, request: HttpRequest) -> Any:
        # HEAD is answered as GET: to leave the body out is for the front.
        method = "GET" if request.method == "HEAD" else request.method
        path, _, last = request.path.rpartition("/")
        number = 0
        if request.path in _ROUTES:
            handlers = _ROUTES[request.path]
        elif last.isascii() and last.isdigit() and len(last) <= _MAX_NUMBER_DIGITS:
            handlers, number = _ROUTES.get(path + "/{n}", {}), int(last)
        else:
            handlers = {}
        if not handlers:
            known = ", ".join(_ROUTES)
            raise _Refused(f"there is nothing at this path; there are {known}", status=404)
        if method not in handlers:
            allowed = ", ".join(handlers)
            raise _Refused(
                f"{method[:20]} is not for this path; it takes {allowed}",
                status=405,
                headers=(("Allow", allowed),),
            )
        return handlers[method](self, request, number)

    def _status(self, request: HttpRequest, number: int) -> Any:
        _query(request)
        return self._control.status()

    def _violations(self, request: HttpRequest, number: int) -> Any:
        rule = _query(request, "rule").get("rule")
        if rule is not None and rule not in RULES:
            raise _Refused(f"rule: read {rule[:80]!r}, expected one of {', '.join(RULES)}")
        log, started_ns = self._control.violations, self._control.hub.started_ns
        return {
            "counts": dict(sorted(log.counts.items())),
            "violations": [
                {
                    "rule": one.rule,
                    "section": one.section,
                    "connection": one.connection,
                    "at_s": None if one.at_ns is None else round((one.at_ns - started_ns) / 1e9, 3),
                    "seen": one.seen,
                    "expected": one.expected,
                }
                for one in log.latest
                if rule in (None, one.rule)
            ],
        }

    def _forget_violations(self, request: HttpRequest, number: int) -> Any:
        _query(request)
        count = self._control.violations.counts.total()
        self._control.violations.clear()
        return {"forgotten": count}

    def _faults(self, request: HttpRequest, number: int) -> Any:
        _query(request)
        board = self._control.faults
        return {
            "faults": [
                {"number": number, **one.to_builtins(), "struck": board.struck(number)}
                for number, one in board.injections.items()
            ]
        }

    def _add_fault(self, request: HttpRequest, number: int) -> Any:
        body = _body(request)
        values = {name: _Values(body).take(name, Any, "a smaller number") for name in body}
        return {"number": self._control.faults.add(_doing(lambda: injection_from(values)))}

    def _remove_faults(self, request: HttpRequest, number: int) -> Any:
        _query(request)
        count = len(self._control.faults.injections)
        self._control.faults.clear()
        return {"removed": count}

    def _remove_fault(self, request: HttpRequest, number: int) -> Any:
        _query(request)
        if not self._control.faults.remove(number):
            there = ", ".join(map(str, self._control.faults.injections)) or "none"
            raise _Refused(f"there is no fault {number}; there are: {there}", status=404)
        return {"removed": 1}

    def _playback(self, request: HttpRequest, number: int) -> Any:
        values = _Values(_body(request))
        action = values.take("action", str, f"one of {', '.join(_ACTIONS)}")
        control = self._control
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
                    raise _Refused(f'speed: read {factor[:80]!r}, expected a number or "max"')
                act = functools.partial(control.set_speed, math.inf if factor == "max" else factor)
            case _:
                expected = ", ".join(_ACTIONS)
                raise _Refused(f"action: read {action[:80]!r}, expected one of {expected}")
        values.check_all_taken()
        _doing(act)
        return {"playback": control.status()["playback"]}

    def _advance_sessions(self, request: HttpRequest, number: int) -> Any:
        values = _Values(_body(request))
        seconds = values.take("advance_s", float, "seconds, 0 or more")
        values.check_all_taken()
        _doing(functools.partial(self._control.advance, seconds))
        return {"sessions": self._control.status()["sessions"]}

    def _login(self, request: HttpRequest, number: int) -> Any:
        values = _Values(_body(request))
        email = values.take("email", str | None, "the email of an account", default=None)
        values.check_all_taken()
        return {"cookie": _doing(lambda: self._control.login(email))}

    def _ping(self, request: HttpRequest, number: int) -> Any:
        values = _Values(_body(request))
        socket = values.take("socket", int | None, "the number of an open socket", default=None)
        values.check_all_taken()
        return {"pinged": _doing(lambda: self._control.ping(socket))}

    def _doings(self, request: HttpRequest, number: int) -> Any:
        after = _query(request, "after").get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= _MAX_NUMBER_DIGITS):
            raise _Refused(f"after: read {after[:80]!r}, expected the number of a doing, or 0")
        journal = self._control.journal
        return {
            "last": journal.last_number,
            "doings": [self._shown(doing) for doing in journal.after(int(after))],
        }

    def _expect(self, request: HttpRequest, number: int) -> Any:
        body = _body(request)
        values = _Values(body)
        what = values.take("what", str, "what a client does, as pong")
        within_s = values.take("within_s", float, "seconds, 0 or more", default=2.0)
        if not within_s >= 0:
            raise _Refused(f"within_s: read {within_s:g}, expected seconds, 0 or more")
        narrowed = {
            name: values.take(name, Any, "a smaller number")
            for name in body
            if name not in ("what", "within_s")
        }
        expectation = _doing(lambda: Expectation.of(what, **narrowed))
        return Answer(202, later=functools.partial(self._expected, expectation, within_s))

    async def _expected(self, expectation: Expectation, within_s: float) -> Answer:
        try:
            doing = await self._control.expect(expectation, within_s=within_s)
        except ExpectationFailed as failed:
            return _answer({"error": str(failed)}, 417)
        return _answer({"seen": self._shown(doing)})

    def _shown(self, doing: Doing) -> dict[str, Any]:
        at_s = round((doing.at_ns - self._control.hub.started_ns) / 1e9, 3)
        return {"at_s": at_s, **self._control.journal.fields(doing)}

    def _push(self, request: HttpRequest, number: int) -> Any:
        body = _body(request)
        values = _Values(body)
        if ("message" in body) == ("text" in body):
            raise _Refused(
                f"read {'both' if 'text' in body else 'neither'} of 'message' and 'text', expected"
                " one: a JSON object, or a string that is sent as it is"
            )
        if "message" in body:
            # Kept as it was written: 1.0 is not 1.
            message = bytes(values.take_raw("message"))
            if not message.startswith(b"{"):
                raise _Refused(
                    f"message: read {_shown(message)}, expected a JSON object; 'text' sends any"
                )
        else:
            message = values.take("text", str, "a string").encode()
        socket = values.take("socket", int | None, "the number of an open socket", default=None)
        values.check_all_taken()
        return {"sent": _doing(lambda: self._control.push(message, socket=socket))}

    def _drop_all(self, request: HttpRequest, number: int) -> Any:
        return self._drop(request, None)

    def _drop_one(self, request: HttpRequest, number: int) -> Any:
        return self._drop(request, number)

    def _drop(self, request: HttpRequest, socket: int | None) -> Any:
        query = _query(request, "how", "code", "reason")
        code = query.get("code", str(int(CloseCode.GOING_AWAY)))
        if not (code.isascii() and code.isdigit() and len(code) <= _MAX_NUMBER_DIGITS):
            raise _Refused(f"code: read {code[:80]!r}, expected a close code from 0 to 65535")
        how: Any = query.get("how", "close")
        reason = query.get("reason", "")
        drop = functools.partial(
            self._control.drop, socket=socket, how=how, code=int(code), reason=reason
        )
        return {"dropped": _doing(drop)}

    def _reset(self, request: HttpRequest, number: int) -> Any:
        _query(request)
        self._control.reset()
        return {"reset": True}


_ROUTES: Final[dict[str, dict[str, _Handler]]] = {
    _ROOT: {"GET": Admin._status},
    f"{_ROOT}/violations": {"GET": Admin._violations, "DELETE": Admin._forget_violations},
    f"{_ROOT}/faults": {
        "GET": Admin._faults,
        "POST": Admin._add_fault,
        "DELETE": Admin._remove_faults,
    },
    f"{_ROOT}/faults/{{n}}": {"DELETE": Admin._remove_fault},
    f"{_ROOT}/playback": {"POST": Admin._playback},
    f"{_ROOT}/sessions": {"POST": Admin._advance_sessions},
    f"{_ROOT}/login": {"POST": Admin._login},
    f"{_ROOT}/ping": {"POST": Admin._ping},
    f"{_ROOT}/doings": {"GET": Admin._doings},
    f"{_ROOT}/expect": {"POST": Admin._expect},
    f"{_ROOT}/push": {"POST": Admin._push},
    f"{_ROOT}/sockets": {"DELETE": Admin._drop_all},
    f"{_ROOT}/sockets/{{n}}": {"DELETE": Admin._drop_one},
    f"{_ROOT}/reset": {"POST": Admin._reset},
}


# Reading


class _Values:
    """The values of a body, each taken once."""

    def __init__(self, body: Mapping[str, msgspec.Raw]) -> None:
        self._left = dict(body)
        self._known: list[str] = []

    def take_raw(self, key: str) -> msgspec.Raw:
        """A value as it was written."""
        self._known.append(key)
        return self._left.pop(key)

    def take(self, key: str, kind: Any, expected: str, *, default: Any = ...) -> Any:
        """A value of a type; without a default it must be there."""
        self._known.append(key)
        raw = self._left.pop(key, None)
        if raw is None:
            if default is ...:
                raise _Refused(f"{key}: it is missing, expected {expected}")
            return default
        try:
            return msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _Refused(f"{key}: read {_shown(bytes(raw))}, expected {expected}") from error

    def check_all_taken(self) -> None:
        """Refuse keys that were not asked for."""
        for key in self._left:
            known = ", ".join(repr(one) for one in self._known)
            raise _Refused(f"{key[:80]!r}: no such key here, expected {known}")


def _body(request: HttpRequest) -> dict[str, msgspec.Raw]:
    """The body as an object of raw JSON texts."""
    _query(request)
    content_type = request.header("content-type")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        read = repr(content_type[:80]) if content_type else "none"
        raise _Refused(f"Content-Type: read {read}, expected application/json", status=415)
    try:
        # msgspec does not look at the encoding of what it leaves raw.
        request.body.decode("utf-8")
        return msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        read = _shown(request.body)
        raise _Refused(f"the body: read {read}, expected a JSON object ({error})") from error


def _query(request: HttpRequest, *known: str) -> dict[str, str]:
    """The parameters of the query."""
    pairs = parse_qsl(request.query, keep_blank_values=True)
    for key, _ in pairs:
        if key not in known:
            expected = ", ".join(map(repr, known)) or "none"
            raise _Refused(f"{key[:80]!r}: no such parameter here, expected {expected}")
    if len(dict(pairs)) < len(pairs):
        raise _Refused("a parameter stands there twice, expected it once")
    return dict(pairs)


def _shown(text: bytes) -> str:
    """What was read, as an error shows it."""
    shown = text[:80].decode("utf-8", "replace")
    return f"{shown} …" if len(text) > 80 else shown or "nothing"


def _is_local(peer: str | None) -> bool:
    if peer is None:
        return True
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    # A listener for both families sees 127.0.0.1 as ::ffff:127.0.0.1.
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


# Doing


def _doing(act: Callable[[], Any]) -> Any:
    """Do it; what the control refuses is refused."""
    try:
        return act()
    except ValueError as error:
        raise _Refused(str(error)) from error
    except LookupError as error:
        raise _Refused(str(error), status=404) from error


def _answer(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    answer = json_answer(msgspec.json.encode(value) + b"\n", status)
    return answer.with_headers({"Cache-Control": "no-store", **dict(headers)})
