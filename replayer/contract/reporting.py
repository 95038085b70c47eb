"""A report in words, and as cases of a JUnit file. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, Final

from replayer.contract.checking import SEVERITIES, Report
from replayer.contract.findings import Change, Severity, Side, Unchecked, Why
from replayer.contract.weighing import ENOUGH
from replayer.junit import Case
from replayer.reading.words import counted, fit, json_text, printable

__all__ = ["fails", "junit_cases", "page"]

_COLUMNS: Final = 80
_LISTED: Final = 12
"""So many remarks and doubts are listed; the others are counted."""
_REASON_LINES: Final = 3
"""So many lines list the places that were not checked for one reason."""
_REASONS: Final[dict[Why, str]] = {
    "too-few": f"too little seen (below {ENOUGH} in the contract or now)",
    "masked": "redacted",
    "not-seen": "not seen now",
    "unknown": "not known to the contract",
    "by-chance": "may be chance",
    "names-are-data": "too many names of fields",
}
_SHOWN_CHARACTERS: Final = 60


def fails(change: Change, fail_on: Severity) -> bool:
    """Whether the change is as severe as that, or more."""
    return SEVERITIES.index(change.severity) >= SEVERITIES.index(fail_on)


def page(report: Report, *, ranges: bool = False) -> Iterator[str]:
    """The report, line by line, in 80 columns; ``ranges`` are remarked on only where asked for."""
    yield from _wrapped(f"{report.verdict}: {report.summary}", "", "    ")
    for change in report.changes:
        yield ""
        yield f"{change.severity}  {change.what}"
        yield f"  {_place(change.where, change.place)}"
        yield from _wrapped(change.sentence, "  ", "  ")
        yield f"  before  {_side(change.before)}"
        yield f"  after   {_side(change.after)}"
    shown = [each for each in report.remarks if ranges or each.what != "range"]
    yield from _listed(
        "remarks", [(_place(each.where, each.place), each.sentence) for each in shown]
    )
    hidden = len(report.remarks) - len(shown)
    if hidden:
        yield ""
        yield f"{counted(hidden, 'ranges')} outside of those learnt: see --ranges"
    doubts = [each for each in report.unchecked if each.deviates]
    yield from _listed(
        "undecided", [(_place(each.where, each.place), each.sentence) for each in doubts]
    )
    yield from _not_checked([each for each in report.unchecked if not each.deviates])


def junit_cases(report: Report, fail_on: Severity) -> list[Case]:
    """A case for each place that was compared, or could not be: then it is skipped. What is less
    severe than ``fail_on`` passes."""
    changes: dict[tuple[str, str], list[Change]] = {}
    for change in report.changes:
        changes.setdefault((change.where, change.place), []).append(change)
    cases = []
    for where, place in dict.fromkeys([*report.checked, *changes]):
        found = [each for each in changes.get((where, place), ()) if fails(each, fail_on)]
        cases.append(
            Case(
                group=where,
                name=place or "/",
                outcome="failed" if found else "passed",
                message="; ".join(f"{each.severity} {each.what}" for each in found),
                detail="\n".join(
                    f"{each.sentence}\nbefore  {_side(each.before)}\nafter   {_side(each.after)}"
                    for each in found
                ),
            )
        )
    told = {(case.group, case.name) for case in cases if case.outcome == "failed"}
    for unchecked in report.unchecked:
        case = Case(
            group=unchecked.where,
            name=unchecked.place or "/",
            outcome="skipped",
            message=unchecked.sentence,
        )
        if (case.group, case.name) not in told:
            cases = [each for each in cases if (each.group, each.name) != (case.group, case.name)]
            told.add((case.group, case.name))
            cases.append(case)
    return cases


def _place(where: str, place: str) -> str:
    return printable(f"{where or '{}'}: {place}" if place else where or "{}")


def _side(side: Side) -> str:
    shown = f", {side.shown}" if side.shown else ""
    example = f", as {_text(side.example)}" if side.example is not None else ""
    return fit(printable(f"{side.count} of {side.of}{shown}{example}"), _COLUMNS - 10)


def _text(example: Any) -> str:
    text = json_text(example)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _listed(title: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"{title}:"
    for place, sentence in rows[:_LISTED]:
        yield f"  {place}"
        yield from _wrapped(sentence, "    ", "    ")
    if len(rows) > _LISTED:
        yield f"  and {len(rows) - _LISTED} more: see --json"


def _not_checked(unchecked: Sequence[Unchecked]) -> Iterator[str]:
    """A few lines for each reason, with its places."""
    if unchecked:
        yield ""
        yield "not checked (--json has each):"
    for why, words in _REASONS.items():
        places: dict[str, list[str]] = {}
        for each in unchecked:
            if each.why == why:
                places.setdefault(each.where, []).append(each.place)
        if places:
            listed = "; ".join(_place(where, ", ".join(some)) for where, some in places.items())
            count = sum(map(len, places.values()))
            lines = _wrapped(f"{count} {words}: {listed}", "  ", "    ")
            yield from lines[:_REASON_LINES]
            if len(lines) > _REASON_LINES:
                yield "    …"


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        _COLUMNS,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
    )
