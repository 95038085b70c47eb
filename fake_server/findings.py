"""What makes a contract test fail: what a client did against the manual, and what was left undone.

Every finding has a name of one vocabulary, by which it can be allowed: the rules of
:data:`recorder.track.violations.RULES`, and those of :data:`BESIDES`.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import itertools
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import msgspec
import trio

from fake_server.connection import Socket, now_ns
from fake_server.server import FakeServer
from fake_server.violation_log import ViolationLog
from recorder.credentials import Credentials
from recorder.redaction import Redactor
from recorder.track.violations import RULES, Violation
from replayer.reading.words import printable

__all__ = [
    "BESIDES",
    "Finding",
    "allowed_names",
    "caught_up",
    "findings",
    "findings_of",
    "open_socket_words",
    "report",
]

BESIDES: Final[dict[str, str]] = {
    "server.failed": "The background work of the server goes on without an error.",
    "message.untaken": "Every recorded message is taken.",
    "socket.left-open": "Every socket that was opened is closed.",
}
"""The findings that break no rule of the manual: name, and what was asked."""

_IDLE_S: Final = 0.003
"""So long a server has nothing to do before it is judged."""

_CATCHES_UP_WITHIN_S: Final = 0.5
"""So long it may be busy, as with a recording that it plays as fast as it can."""

_TOLD: Final = 3
"""So many of a kind are told in words; the rest are counted."""

_SHOWN: Final = 160
_COLUMNS: Final = 80


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing that went wrong, ``count`` times.

    ``name`` is what it is allowed by, ``title`` the sentence that was not kept, ``section`` where
    that stands (of the manual unless it names an RFC; empty where it stands in neither).
    ``detail`` tells the first three, a line of words each, without secrets.
    """

    name: str
    title: str
    section: str
    detail: tuple[str, ...]
    count: int


async def caught_up() -> None:
    """Wait until the server of this trio run has done what there is to do: what clients did before
    counts, on whichever connection it came.
    """
    wait = getattr(sys.modules.get("trio.testing"), "wait_all_tasks_blocked", None)
    if wait is None:
        # It brings pytest where that is installed, which takes long; nobody's PING waits for it.
        module = await trio.to_thread.run_sync(importlib.import_module, "trio.testing")
        wait = module.wait_all_tasks_blocked
    with trio.move_on_after(_CATCHES_UP_WITHIN_S):
        await wait(_IDLE_S)


def findings(
    server: FakeServer, *, require_all: bool = False, allow: Iterable[str] = ()
) -> list[Finding]:
    """What a test against ``server`` fails for: failures of the server first, then broken rules in
    the order of their first time, messages that were never sent if ``require_all`` asks for them,
    and sockets that are still open. To be called within the server's trio run.

    ``allow`` holds names of findings, or patterns of them as :mod:`fnmatch` has them (``pong.*``),
    that are left out. Raises ValueError for one that can match nothing.
    """
    redactor = _redactor(server.accounts.credentials)
    return findings_of(
        failures=server.failures,
        violations=server.violations,
        started_ns=server.hub.started_ns,
        left_open=[_left_open(one) for one in server.hub.sockets if one.is_open],
        untaken=_untaken(server, redactor) if require_all else (),
        redactor=redactor,
        allow=allow,
    )


def findings_of(
    *,
    failures: Sequence[str],
    violations: ViolationLog,
    left_open: Sequence[str],
    redactor: Redactor,
    allow: Iterable[str],
    started_ns: int = 0,
    untaken: Iterable[Finding] = (),
) -> list[Finding]:
    """The same of what was found elsewhere: ``failures`` are tracebacks, ``left_open`` lines of
    words about sockets (:func:`open_socket_words`), ``untaken`` is asked only if that is not
    allowed. The moments of ``violations`` are told as those since ``started_ns``. Raises
    ValueError as :func:`findings` does.
    """
    allowed = allowed_names(allow)
    found = [*_failures(failures, redactor), *_violations(violations, started_ns)]
    if "message.untaken" not in allowed:
        found += untaken
    found += _beside("socket.left-open", list(left_open[:_TOLD]), len(left_open))
    return [one for one in found if one.name not in allowed]


def open_socket_words(number: int, account: str, open_s: float, connection: int) -> str:
    """A socket that is open, in words."""
    return (
        f"socket {number} of {printable(account)} (connection {connection}), open for"
        f" {open_s:.3f} s"
    )


def report(
    found: Sequence[Finding], *, how_to_allow: Literal["mark", "option"] | None = "mark"
) -> list[str]:
    """The findings in words: lines of at most 80 columns, none where there are none; at the end how
    they can be allowed, in a test's mark or on the command line.
    """
    if not found:
        return []
    names = ", ".join(f"{one.name} ({_plural(one.count, 'time')})" for one in found)
    lines = _wrapped(f"{_plural(len(found), 'finding')}: {names}", "", "    ")
    for one in found:
        times = _plural(one.count, "time")
        lines += _wrapped(f"{_headline(one)}, {times}: {one.title}", "", "    ")
        for words in one.detail:
            lines += _wrapped(words, "    ", "      ")
        if one.count > len(one.detail):
            lines.append(f"    and {one.count - len(one.detail)} more")
    if how_to_allow == "mark":
        listed = ", ".join(f'"{one.name}"' for one in found)
        lines += _wrapped(f"What is meant to be can be allowed: allow=[{listed}]", "", "    ")
    elif how_to_allow == "option":
        listed = " ".join(f"--allow {one.name}" for one in found)
        lines += _wrapped(f"What is meant to be can be allowed: {listed}", "", "    ")
    return lines


def _headline(finding: Finding) -> str:
    section = finding.section
    if section and not section.startswith("RFC"):
        section = f"manual {section}"
    return f"{finding.name} ({section})" if section else finding.name


def _wrapped(text: str, first: str, further: str) -> list[str]:
    return textwrap.wrap(
        text, _COLUMNS, initial_indent=first, subsequent_indent=further, break_on_hyphens=False
    )


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# What is allowed


def allowed_names(patterns: Iterable[str]) -> set[str]:
    """The findings that are meant by names, or patterns of them. Raises ValueError for one that can
    match nothing.
    """
    known = [*RULES, *BESIDES]
    allowed: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(known, pattern)
        if not matching:
            near = difflib.get_close_matches(pattern, known, n=1, cutoff=0)
            raise ValueError(
                f"allow: there is no finding {pattern!r}; did you mean {near[0]!r}? Patterns as"
                " 'pong.*' are understood too"
            )
        allowed.update(matching)
    return allowed


# What there is to find


def _redactor(accounts: Iterable[Credentials]) -> Redactor:
    redactor = Redactor("secrets")
    for credentials in accounts:
        redactor.learn("password", credentials.password)
    return redactor


def _violations(log: ViolationLog, started_ns: int) -> Iterator[Finding]:
    first: defaultdict[str, list[str]] = defaultdict(list)
    for violation in log.latest:
        if len(first[violation.rule]) < _TOLD:
            first[violation.rule].append(_words(violation, started_ns))
    for rule, count in log.counts.items():
        section, title = RULES[rule]
        yield Finding(
            name=rule, title=title, section=section, detail=tuple(first[rule]), count=count
        )


def _words(violation: Violation, started_ns: int) -> str:
    """Where and when, from the server's start, and what; the rule is told once for all."""
    places = []
    if violation.connection is not None:
        places.append(f"connection {violation.connection}")
    if violation.at_ns is not None:
        places.append(f"{(violation.at_ns - started_ns) / 1e9:.3f} s")
    where = ", ".join(places) + ": " if places else ""
    return printable(f"{where}{violation.seen}; expected {violation.expected}")


def _failures(tracebacks: Sequence[str], redactor: Redactor) -> Iterator[Finding]:
    told = [printable(_failure(one, redactor)) for one in tracebacks[:_TOLD]]
    yield from _beside("server.failed", told, len(tracebacks))


def _failure(traceback: str, redactor: Redactor) -> str:
    """What was raised, and where, of the lines of a traceback."""
    lines = traceback.splitlines() or [""]
    places = [line.strip() for line in lines if line.lstrip().startswith("File ")]
    return ", at ".join([redactor.text(lines[-1]), *places[-1:]])


def _untaken(server: FakeServer, redactor: Redactor) -> Iterator[Finding]:
    messages = iter(server.hub.playback.untaken())
    told = []
    for number, at_ns, message in itertools.islice(messages, _TOLD):
        text = redactor.text(message.decode("utf-8", "replace"))
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        where = f"recorded socket {number}, " if number else ""
        told.append(printable(f"{where}{at_ns / 1e9:.3f} s: {shown}"))
    yield from _beside("message.untaken", told, len(told) + sum(1 for _ in messages))


def _left_open(socket: Socket) -> str:
    open_s = (now_ns() - socket.opened_ns) / 1e9
    return open_socket_words(socket.number, socket.session.account, open_s, socket.connection)


def _beside(name: str, told: list[str], count: int) -> Iterator[Finding]:
    if count:
        yield Finding(name=name, title=BESIDES[name], section="", detail=tuple(told), count=count)
