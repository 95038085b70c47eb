"""A diagnosis as a person reads it, and as a CI system does. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Final

from replayer.diagnosis.model import Diagnosis, Finding, Party, section_words
from replayer.diagnosis.rules import DIAGNOSED
from replayer.junit import Case
from replayer.reading.words import counted, printable, seconds

__all__ = ["as_builtins", "cases", "page"]

_SHOWN: Final = 3
"""So many findings of a rule, and endings, are shown unless all are asked for."""

_DOERS: Final[dict[Party, str]] = {
    "client": "the client's doing",
    "server": "the server's doing",
    "network": "the server's or the network's doing",
    "recorder": "the recorder's doing",
}

_OF_SOCKETS: Final = frozenset(
    {
        *("pong", "ping", "text", "frame", "socket", "message", "opening", "timeout", "join"),
        *("close", "tcp"),
    }
)
"""Rules that begin so are judged where there is a socket; of handshakes where one was seen to be
asked for; all others where there is a call."""


def page(
    name: str, diagnosis: Diagnosis, *, columns: int = 80, everything: bool = False
) -> Iterator[str]:
    """The lines of the answer, none wider than ``columns`` but for the first, which has the
    recording's ``name``, and for a long word. With ``everything`` nothing that was kept is left
    out."""
    # A name is copied, so it stays whole.
    yield printable(f"{name}: {_verdict(diagnosis)}")
    yield from _wrapped(f"looked at   {diagnosis.judged}", columns, indent=2, hang=14)
    for opening, count in diagnosis.judged.openings.items():
        of = f" ({counted(count, 'sockets')})" if diagnosis.judged.sockets > 1 else ""
        yield from _wrapped(f"pushed      {opening}, in this order{of}", columns, indent=2, hang=14)
    for sentence in diagnosis.undecided:
        yield from _wrapped(f"undecided   {sentence}", columns, indent=2, hang=14)
    yield from _cause(diagnosis, columns)
    groups = _groups(diagnosis)
    for title, is_breach in (("against the rules", True), ("remarks", False)):
        chosen = [rule for rule in groups if DIAGNOSED[rule].is_breach == is_breach]
        if chosen:
            yield ""
            yield title
        for rule in chosen:
            yield from _group(rule, groups[rule], diagnosis.counts[rule], columns, everything)
    yield from _endings(diagnosis, columns, everything)


def cases(diagnosis: Diagnosis) -> list[Case]:
    """A case for each rule that can be broken: failed with its findings, passed, or skipped where
    there was nothing to judge it by."""
    groups = _groups(diagnosis)
    found = []
    for rule, of in DIAGNOSED.items():
        if not of.is_breach:
            continue
        group = f"conform.{rule.partition('.')[0]}"
        count = diagnosis.counts.get(rule, 0)
        if count:
            findings = groups.get(rule, [])
            detail = "\n".join(printable(str(one)) for one in findings)
            if count > len(findings):
                detail += f"\nand {count - len(findings)} more"
            message = f"{of.asks} Found {count} times; {_DOERS[of.by]}."
            case = Case(group=group, name=rule, outcome="failed", message=message, detail=detail)
        elif _is_judged(rule, diagnosis):
            case = Case(group=group, name=rule)
        else:
            case = Case(group=group, name=rule, outcome="skipped", message="nothing to judge it by")
        found.append(case)
    return found


def as_builtins(diagnosis: Diagnosis) -> dict[str, Any]:
    """All of it, to be printed as JSON."""
    return {
        "verdict": _verdict(diagnosis),
        "summary": diagnosis.summary,
        "judged": diagnosis.judged,
        "undecided": diagnosis.undecided,
        "counts": diagnosis.counts,
        "findings": diagnosis.findings,
        "endings_count": diagnosis.endings_count,
        "endings": diagnosis.endings,
    }


def _verdict(diagnosis: Diagnosis) -> str:
    if not diagnosis.decided:
        return "undecided"
    return "kept" if diagnosis.kept else "broken"


def _cause(diagnosis: Diagnosis, columns: int) -> Iterator[str]:
    if not diagnosis.decided:
        yield ""
        yield from _wrapped("No socket and no call of the API was recorded.", columns)
    elif diagnosis.cause is not None:
        yield ""
        cause = diagnosis.cause
        words = _sentence(cause) if isinstance(cause, Finding) else str(cause)
        yield from _wrapped(words, columns)


def _sentence(finding: Finding) -> str:
    return f"{finding.where}{finding.seen} ({section_words(finding.section)})"


def _groups(diagnosis: Diagnosis) -> dict[str, list[Finding]]:
    """The findings of each rule, those first that began first."""
    groups: dict[str, list[Finding]] = {}
    for finding in diagnosis.findings:
        groups.setdefault(finding.rule, []).append(finding)
    return groups


def _group(
    rule: str, findings: list[Finding], count: int, columns: int, everything: bool
) -> Iterator[str]:
    of = DIAGNOSED[rule]
    times = "" if count == 1 else f", {count} times"
    title = f"{rule}{times}: {_DOERS[of.by]}. {of.asks} ({_source(rule)})"
    yield from _wrapped(title, columns, indent=2, hang=4)
    shown = findings if everything else findings[:_SHOWN]
    for finding in shown:
        moment = "" if finding.at_ns is None else f"{seconds(finding.at_ns)} s  "
        connection = "" if finding.connection is None else f"connection {finding.connection}: "
        yield from _wrapped(f"{moment:>11}{connection}{finding.seen}", columns, indent=4, hang=15)
    if count > len(shown):
        yield f"               and {count - len(shown)} more"


def _source(rule: str) -> str:
    of = DIAGNOSED[rule]
    source = section_words(of.section)
    if of.evidence in ("manual", "RFC"):
        return source
    return f"{source}; {'our own' if of.evidence == 'ours' else of.evidence}"


def _endings(diagnosis: Diagnosis, columns: int, everything: bool) -> Iterator[str]:
    endings = diagnosis.endings if everything else diagnosis.endings[:_SHOWN]
    if not endings:
        return
    yield ""
    yield "ends"
    for ending in endings:
        yield from _wrapped(str(ending), columns, indent=2, hang=4)
    if diagnosis.endings_count > len(endings):
        yield f"  and {diagnosis.endings_count - len(endings)} more"


def _is_judged(rule: str, diagnosis: Diagnosis) -> bool:
    judged, prefix = diagnosis.judged, rule.partition(".")[0]
    if prefix in _OF_SOCKETS:
        return judged.sockets > 0
    return judged.handshakes > 0 if prefix == "handshake" else judged.calls > 0


def _wrapped(text: str, columns: int, *, indent: int = 0, hang: int = 2) -> list[str]:
    return textwrap.wrap(
        printable(text),
        max(columns, 40),
        initial_indent=" " * indent,
        subsequent_indent=" " * hang,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
