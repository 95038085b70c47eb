"""What `run` says of a contract test: its findings in words, in an exit code and as JUnit XML."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
import trio

from fake_server.commands.assembly import check_can_be_made
from fake_server.findings import BESIDES, Finding, allowed_names, caught_up, findings, report
from fake_server.server import FakeServer
from recorder.destination import destination
from recorder.errors import RecorderError
from recorder.track.violations import RULES
from replayer.junit import Case, junit_xml
from replayer.reading.words import printable

__all__ = ["Check", "check_of", "junit_cases", "last_frames_told", "settled", "write_junit"]

_SETTLING_S: Final = 1.0
"""So long a program's sockets may take to end behind it: its last bytes are still to be read."""

_SUITE: Final = "track-fake-server run"

_LAST_FRAMES: Final = 12


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the program: ``fails`` whether findings are a failure of the command,
    ``junit`` where to write the report.
    """

    fails: bool
    require_all: bool
    allow: tuple[str, ...]
    junit: Path | None

    def findings(self, server: FakeServer) -> list[Finding]:
        """See :func:`fake_server.findings.findings`."""
        return findings(server, require_all=self.require_all, allow=self.allow)


def check_of(
    *, check: bool, require_all: bool, allow: tuple[str, ...], junit: Path | None
) -> Check | None:
    """What the command line asks for; None is nothing.

    Raises click.UsageError on options that would do nothing, click.BadParameter on an ``allow``
    that can match nothing, and OutputExists where the report cannot be written to.
    """
    if not check and junit is None:
        for option, given in (("--allow", bool(allow)), ("--require-all", require_all)):
            if given:
                raise click.UsageError(f"{option} needs --check or --junit-xml")
        return None
    try:
        allowed_names(allow)
    except ValueError as error:
        words = str(error).removeprefix("allow: ")
        raise click.BadParameter(words, param_hint="--allow") from error
    if str(junit) == "-":
        raise click.BadParameter("stdout is CMD's; name a file", param_hint="--junit-xml")
    if junit is not None:
        check_can_be_made(junit)
    return Check(fails=check, require_all=require_all, allow=allow, junit=junit)


async def settled(server: FakeServer) -> None:
    """Wait until what a program left that has ended is read, and its sockets have ended too; a
    second at most.
    """
    await caught_up()
    with trio.move_on_after(_SETTLING_S):
        while not all(socket.is_done for socket in server.hub.sockets):
            await server.journal.changed()


async def last_frames_told(server: FakeServer) -> list[str]:
    """What passed last, in lines with a headline; without a recording, how to have one."""
    if server.last_frames is None:
        return ["--record FILE keeps what passed, and tells the last of it here"]
    try:
        frames = await server.last_frames(_LAST_FRAMES)
    except RecorderError as error:
        return [f"the last frames cannot be told: {error}"]
    return ["the last frames:", *frames]


def junit_cases(
    program: str,
    code: int,
    took_s: float,
    check: Check,
    found: Sequence[Finding],
    *,
    last: Sequence[str] = (),
) -> list[Case]:
    """One case for the program, and one for each finding that there can be: skipped is what is
    allowed or was not asked for. ``last`` are lines that each failure ends with. The program's
    arguments stand nowhere; they may hold a password.
    """
    name = printable(program)
    cases = [
        Case(group=_SUITE, name=name, took_s=took_s)
        if code == 0
        else Case(
            group=_SUITE,
            name=name,
            outcome="failed",
            message=f"ended with {code}",
            detail="\n".join([f"{name} ended with {code}", *last]),
            took_s=took_s,
        )
    ]
    by_name = {one.name: one for one in found}
    for rule in [*BESIDES, *RULES]:
        finding = by_name.get(rule)
        if finding is not None:
            message = f"{finding.count} time{'' if finding.count == 1 else 's'}: {finding.title}"
            case = Case(
                group="findings",
                name=rule,
                outcome="failed",
                message=message,
                detail="\n".join([*report([finding], how_to_allow="option"), *last]),
            )
        elif any(fnmatch.fnmatch(rule, pattern) for pattern in check.allow):
            case = Case(group="findings", name=rule, outcome="skipped", message="allowed")
        elif rule == "message.untaken" and not check.require_all:
            case = Case(
                group="findings",
                name=rule,
                outcome="skipped",
                message="needs --require-all",
            )
        else:
            case = Case(group="findings", name=rule)
        cases.append(case)
    return cases


def write_junit(path: Path, cases: Sequence[Case]) -> None:
    """The file appears whole, in place of one that there was.

    Raises what :func:`recorder.destination.destination` does.
    """
    with destination(str(path.absolute()), force=True) as file:
        file.write(junit_xml(_SUITE, cases).encode())
