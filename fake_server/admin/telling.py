"""What the control API tells of a server, and what it waits for: each takes a request and returns
the answer, or, where that is waited for, a function to await it with.

A ``number`` is that of the path, which has none here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from fake_server.admin.reading import (
    Refused,
    Values,
    body_of,
    done,
    number_of,
    query_of,
    query_with_list,
)
from fake_server.exchange import HttpRequest
from fake_server.expectations import Expectation, ExpectationFailed
from fake_server.journal import Doing, DoingKind
from recorder.errors import RecorderError
from recorder.track.violations import RULES

if TYPE_CHECKING:
    from fake_server.server import FakeServer

__all__ = ["doings", "expect", "faults", "findings", "frames", "status", "violations"]

_WHAT: Final[tuple[str, ...]] = get_args(DoingKind)

_LAST_FRAMES: Final = 12
_MAX_LAST_FRAMES: Final = 1000


def status(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """What goes on."""
    query_of(request)
    return server.control.status()


def violations(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """What clients did against the manual."""
    rule = query_of(request, "rule").get("rule")
    if rule is not None and rule not in RULES:
        raise Refused(f"rule: read {rule[:80]!r}, expected one of {', '.join(RULES)}")
    log = server.violations
    return {
        "counts": dict(sorted(log.counts.items())),
        "violations": [
            {
                "rule": one.rule,
                "section": one.section,
                "connection": one.connection,
                "at_s": None if one.at_ns is None else _at_s(server, one.at_ns),
                "seen": one.seen,
                "expected": one.expected,
            }
            for one in log.latest
            if rule in (None, one.rule)
        ],
    }


def faults(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """The faults that are set."""
    query_of(request)
    board = server.faults
    return {
        "faults": [
            {"number": number, **one.to_builtins(), "struck": board.struck(number)}
            for number, one in board.injections.items()
        ]
    }


def doings(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """What clients did."""
    query = query_of(request, "after", "what")
    written, what = query.get("after", "0"), query.get("what")
    after = number_of(written)
    if after is None:
        raise Refused(f"after: read {written[:80]!r}, expected the number of a doing, or 0")
    if what is not None and what not in _WHAT:
        raise Refused(f"what: read {what[:80]!r}, expected one of {', '.join(_WHAT)}")
    return {
        "last": server.journal.last_number,
        "doings": [
            _shown(server, doing)
            for doing in server.journal.after(after)
            if what in (None, doing.kind)
        ],
    }


def expect(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """Wait until a client does something."""
    body = body_of(request)
    values = Values(body)
    what = values.take("what", str, "what a client does, as pong")
    within_s = values.take("within_s", float, "seconds, 0 or more", default=2.0)
    if not within_s >= 0:
        raise Refused(f"within_s: read {within_s:g}, expected seconds, 0 or more")
    narrowed = {
        name: values.take(name, Any, "a smaller number")
        for name in body
        if name not in ("what", "within_s")
    }
    expectation = done(lambda: Expectation.of(what, **narrowed))

    async def expected() -> Any:
        try:
            doing = await server.control.expect(expectation, within_s=within_s)
        except ExpectationFailed as failed:
            raise Refused(str(failed), status=417) from failed
        return {"seen": _shown(server, doing)}

    return expected


def findings(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """What a contract test against the server fails for."""
    query, allow = query_with_list(request, "require_all", listed="allow")
    require_all = query.get("require_all", "false")
    if require_all not in ("true", "false"):
        raise Refused(f"require_all: read {require_all[:80]!r}, expected true or false")

    async def judged() -> Any:
        # The module knows the server, which knows us.
        from fake_server.findings import caught_up, findings, report

        await caught_up()
        found = done(lambda: findings(server, require_all=require_all == "true", allow=allow))
        return {
            "ok": not found,
            "findings": [msgspec.to_builtins(one) for one in found],
            "report": "\n".join(report(found, how_to_allow=None)),
        }

    return judged


def frames(server: FakeServer, request: HttpRequest, number: int) -> Any:
    """The last messages and exchanges, as they were recorded."""
    written = query_of(request, "last").get("last", str(_LAST_FRAMES))
    count = number_of(written)
    if count is None or not 1 <= count <= _MAX_LAST_FRAMES:
        raise Refused(f"last: read {written[:80]!r}, expected a count from 1 to {_MAX_LAST_FRAMES}")
    last_frames = server.last_frames
    if last_frames is None:
        raise Refused("nothing is recorded; start the server with --record FILE", status=409)

    async def read() -> Any:
        try:
            return {"frames": await last_frames(count)}
        except RecorderError as error:
            raise Refused(str(error), status=500) from error

    return read


def _shown(server: FakeServer, doing: Doing) -> dict[str, Any]:
    return {"at_s": _at_s(server, doing.at_ns), **server.journal.fields(doing)}


def _at_s(server: FakeServer, at_ns: int) -> float:
    """Seconds since the server started."""
    return round((at_ns - server.hub.started_ns) / 1e9, 3)
