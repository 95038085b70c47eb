"""What a diagnosis says: what was done against the rules, how each connection ended, what was
looked at, and what could not be told.

:data:`replayer.diagnosis.rules.DIAGNOSED` is the table of the rules.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from replayer.reading.words import counted, printable, seconds

__all__ = ["Diagnosis", "Ending", "Finding", "Judged", "Party", "section_words"]

Party: TypeAlias = Literal["client", "server", "network", "recorder"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found. ``by`` is who did it; ``section`` is of the manual unless it names
    an RFC.

    ``is_breach`` is whether a rule was broken; what neither the manual nor an RFC settles is a
    remark. ``at_ns`` is an offset of the recording, None where it has no timing; ``seq`` is the
    entry that shows it, None where none does, as with what did not come.
    """

    rule: str
    section: str
    by: Party
    is_breach: bool
    connection: int | None
    at_ns: int | None
    seq: int | None
    seen: str
    expected: str

    def __str__(self) -> str:
        return f"{self.where}{self.seen} [{self.rule}, {section_words(self.section)}]"

    @property
    def where(self) -> str:
        """``connection 3, 93.210 s: ``, as far as it is known; else empty."""
        places = []
        if self.connection is not None:
            places.append(f"connection {self.connection}")
        if self.at_ns is not None:
            places.append(f"{seconds(self.at_ns)} s")
        return ", ".join(places) + ": " if places else ""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a socket ended, or the connection of one that was asked for and refused.

    ``by`` is who ended it, ``how`` in one or two words. ``code`` and ``reason`` are those of the
    first close frame. ``cause`` is a clause that says why, as far as the recording shows, and
    ``section`` where that stands; empty where it stands nowhere. ``fault`` is whose doing the cause
    is, None where it is nobody's.
    """

    connection: int
    at_ns: int | None
    by: Party
    how: Literal["close frame", "eof", "reset", "timeout", "stopped", "refused", "open"]
    code: int | None
    reason: str
    cause: str
    section: str
    fault: Party | None

    def __str__(self) -> str:
        moment = "" if self.at_ns is None else f" at {seconds(self.at_ns)} s"
        source = f" ({section_words(self.section)})" if self.section else ""
        return f"connection {self.connection} {self.verb}{moment}: {self.cause}{source}"

    @property
    def verb(self) -> str:
        """What became of the connection, as ``was closed by the server``."""
        match self.how:
            case "refused":
                return "was refused by the server"
            case "reset":
                return f"was reset by the {self.by}"
            case "timeout":
                return f"was given up by the {self.by}"
            case "open" | "stopped":
                return "was open when last seen"
        return f"was closed by the {self.by}"


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """How much was looked at. ``openings`` counts sockets by the order in which the kinds of the
    initial push came (manual section 3), as ``devices, beacons, positions``: reported, never
    judged.
    """

    sockets: int = 0
    handshakes: int = 0
    calls: int = 0
    messages: int = 0
    pings: int = 0
    pings_answered: int = 0
    openings: dict[str, int] = {}

    def __str__(self) -> str:
        words = [
            counted(self.sockets, "sockets"),
            counted(self.pings, "PINGs"),
            counted(self.calls, "calls"),
            counted(self.messages, "messages"),
        ]
        return ", ".join(words)


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found. ``findings`` holds the first of each rule, in the order of their moments;
    ``counts`` counts them all, by rule, and ``breaches`` those that are no mere remarks.
    ``endings`` are the first; ``endings_count`` is of all. ``undecided`` says in sentences what
    could not be told, and why.
    """

    findings: tuple[Finding, ...]
    counts: dict[str, int]
    breaches: int
    endings: tuple[Ending, ...]
    endings_count: int
    judged: Judged
    undecided: tuple[str, ...]

    @property
    def decided(self) -> bool:
        """Whether there was anything to judge: a socket, or the handshake of one, or a call."""
        return bool(self.judged.sockets or self.judged.handshakes or self.judged.calls)

    @property
    def kept(self) -> bool:
        """Whether the protocol was kept, as far as the recording shows."""
        return self.decided and not self.breaches

    @property
    def cause(self) -> Ending | Finding | None:
        """The most important thing: an ending that somebody is to blame for, else the first
        breach; None where there is neither."""
        for ending in self.endings:
            if ending.fault is not None and self.breaches:
                return ending
        return next((finding for finding in self.findings if finding.is_breach), None)

    @property
    def summary(self) -> str:
        """One line, of printable characters."""
        if not self.decided:
            return "undecided: no socket and no call was recorded"
        if self.kept:
            return f"kept: {self.judged}"
        breaches = counted(self.breaches, "breaches") if self.breaches > 1 else "1 breach"
        return printable(f"broken ({breaches}): {self.cause}")


def section_words(section: str) -> str:
    """Where a rule stands, as ``manual 3.3`` or ``RFC 6455 5.2``."""
    return section if section.startswith("RFC") else f"manual {section}"
