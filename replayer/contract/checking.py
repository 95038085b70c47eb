"""Whether recordings say what a contract says: one report, with one of three verdicts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from recorder.model import AnyEntry, Header
from replayer.contract.comparing import compare, kinds_unseen
from replayer.contract.findings import Change, Remark, Severity, Unchecked
from replayer.contract.learning import Learner
from replayer.contract.model import Contract
from replayer.reading.words import counted

__all__ = ["SEVERITIES", "Report", "Verdict", "check", "judge", "worst"]

Verdict = Literal["same", "drift", "undecided"]

SEVERITIES: Final[tuple[Severity, ...]] = ("additive", "deprecated", "breaking")
"""From what clients should bear (manual section 1) to what breaks them."""

_NAMED: Final = 5
"""So many kinds that were not seen are named in the summary."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. ``drift`` if anything changed; ``undecided`` if nothing was seen often enough to
    be compared, or something other too rarely to call it a change; else ``same``, which says
    nothing of what is ``unchecked``.

    ``checked`` are the places that were compared: a kind of message or a call with its status, and
    a JSON Pointer. ``summary`` is one line.
    """

    verdict: Verdict
    summary: str
    changes: list[Change]
    remarks: list[Remark]
    unchecked: list[Unchecked]
    checked: list[tuple[str, str]]


def check(contract: Contract, header: Header, entries: Iterable[AnyEntry]) -> Report:
    """Check one recording, or the parts of a series as one. Raises what ``entries`` raise."""
    learner = Learner()
    learner.learn(header, entries)
    return judge(contract, learner)


def judge(contract: Contract, learner: Learner) -> Report:
    """Check what was learnt of recordings."""
    candidate = learner.contract(contract.tool, all_values=True)
    found = compare(contract, candidate)
    remarks = list(found.remarks)
    if learner.beyond:
        sentence = f"Left out: {counted(learner.beyond, 'messages')} of still more kinds."
        remarks.append(Remark(where="messages", place="", what="left-out", sentence=sentence))
    changes = sorted(found.changes, key=lambda change: -SEVERITIES.index(change.severity))
    unchecked = sorted(found.unchecked, key=lambda each: not each.deviates)
    doubts = sum(each.deviates for each in unchecked)
    unseen = _unseen(*kinds_unseen(contract, candidate))
    verdict: Verdict = (
        "drift" if changes else "undecided" if doubts or not found.checked else "same"
    )
    return Report(
        verdict=verdict,
        summary=_summary(verdict, candidate, changes, unchecked, found.checked, unseen),
        changes=changes,
        remarks=remarks,
        unchecked=unchecked,
        checked=found.checked,
    )


def worst(report: Report) -> Severity | None:
    """The severest of the changes; None where there are none."""
    return report.changes[0].severity if report.changes else None


def _summary(
    verdict: Verdict,
    candidate: Contract,
    changes: list[Change],
    unchecked: list[Unchecked],
    checked: list[tuple[str, str]],
    unseen: str,
) -> str:
    wheres = len({where for where, _ in checked})
    of = "one kind of message or call" if wheres == 1 else f"{wheres} kinds of messages and calls"
    compared = f"{counted(len(checked), 'places')} in {of} compared{unseen}"
    if verdict == "drift":
        counts = {
            severity: sum(change.severity == severity for change in changes)
            for severity in reversed(SEVERITIES)
        }
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) + (
            f" {'change' if len(changes) == 1 else 'changes'}; {compared}"
        )
    if verdict == "same":
        return compared
    if not checked:
        messages = sum(message.seen for message in candidate.messages.values())
        calls = sum(call.seen for call in candidate.calls.values())
        seen = f"{counted(messages, 'messages')} and {counted(calls, 'calls')}"
        return f"too little seen to compare anything: {seen}"
    doubts = sum(each.deviates and each.why != "not-seen" for each in unchecked)
    if not doubts:
        return compared
    things = "one thing" if doubts == 1 else f"{doubts} things"
    return f"{things} may have changed, too little seen to tell; {compared}"


def _unseen(kinds: list[str], of: int) -> str:
    if not kinds:
        return ""
    names = ", ".join(kind or "{}" for kind in kinds[:_NAMED])
    if len(kinds) > _NAMED:
        names += f" and {len(kinds) - _NAMED} more"
    return f", but {len(kinds)} of {counted(of, 'kinds')} {_were(len(kinds))} not seen: {names}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
