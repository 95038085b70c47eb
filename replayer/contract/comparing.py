"""Two contracts side by side: kinds of messages, calls, statuses, and the shapes of each. Pure.

Requests are the client's: they are learnt, and not compared. Nor is a kind or a call a change that
was not seen: what is sent and asked for depends on the hour and on the client.
"""

from __future__ import annotations

from typing import Final

from replayer.contract.findings import Comparison, Side, Unchecked
from replayer.contract.model import Answer, Call, Contract, Message
from replayer.contract.shapes import ShapeComparer, are_same_subjects
from replayer.contract.telling import Teller
from replayer.contract.weighing import Share, Subjects, Total

__all__ = ["compare"]


def compare(contract: Contract, candidate: Contract) -> Comparison:
    """What changed from the contract to the candidate, which was learnt with all values."""
    found = Comparison(changes=[], remarks=[], unchecked=[], checked=[])
    _compare_kinds(found, contract, candidate)
    for name, call in contract.calls.items():
        _compare_call(found, name, call, candidate.calls.get(name))
    for name, call in candidate.calls.items():
        if name not in contract.calls:
            sentence = (
                f"The contract knows nothing of this call, which was made {_times(call.seen)}."
            )
            found.unchecked.append(
                Unchecked(where=name, place="", why="unknown", sentence=sentence)
            )
    return found


def _compare_kinds(found: Comparison, contract: Contract, candidate: Contract) -> None:
    before = sum(message.seen for message in contract.messages.values())
    after = sum(message.seen for message in candidate.messages.values())
    for kind, message in contract.messages.items():
        other = candidate.messages.get(kind)
        if other is None:
            sentence = f"No such message was seen; the contract has {message.seen}."
            found.unchecked.append(
                Unchecked(where=kind, place="", why="not-seen", sentence=sentence)
            )
        else:
            ShapeComparer(Teller(found, kind)).shape("", message.shape, other.shape)
    subjects = _subjects_of(contract, candidate)
    for kind, message in candidate.messages.items():
        if kind not in contract.messages and before:
            Teller(found, kind).new(
                "",
                "kind-new",
                "additive",
                Share(message.seen, after, _most_subjects(message), subjects.after),
                # The same devices said none of it before, whichever of them says it now.
                Total(before, 0 if subjects.same else subjects.before),
                Side(count=0, of=before),
                Side(count=message.seen, of=after),
                "A message of this kind is new",
            )


def _subjects_of(contract: Contract, candidate: Contract) -> Subjects:
    """Of how many subjects the messages tell that tell of the most."""
    same = any(
        are_same_subjects(shape, candidate.messages[kind].shape.fields[name].shape.items)
        for kind, message in contract.messages.items()
        if kind in candidate.messages
        for name, field in message.shape.fields.items()
        if (shape := field.shape.items) is not None
    )
    before, after = (
        max(map(_most_subjects, each.messages.values()), default=0)
        for each in (contract, candidate)
    )
    return Subjects(before, after, same)


def _most_subjects(message: Message) -> int:
    lists = (field.shape.items for field in message.shape.fields.values())
    return max((each.subjects.get("object", 0) for each in lists if each), default=0)


_SAYS_NOTHING: Final = frozenset({"401", "403", "429"})
"""Statuses that tell of the client's session and pace, not of the call."""


def _compare_call(found: Comparison, name: str, before: Call, after: Call | None) -> None:
    if after is None:
        sentence = f"The call was not made; the contract has it {_times(before.seen)}."
        found.unchecked.append(Unchecked(where=name, place="", why="not-seen", sentence=sentence))
        return
    known = ", ".join(before.answers)
    for status, answer in after.answers.items():
        old = before.answers.get(status)
        if old is not None:
            _compare_answer(found, f"{name} {status}", old, answer)
        elif status in _SAYS_NOTHING:
            found.unchecked.append(
                Unchecked(
                    where=f"{name} {status}",
                    place="",
                    why="unknown",
                    sentence=f"Answered so {_times(answer.seen)}; the contract has"
                    f" {known or 'no answer'}.",
                )
            )
        elif before.answers:
            Teller(found, name).new(
                "",
                "status-changed",
                "breaking",
                Share(answer.seen, after.seen),
                Total(before.seen),
                Side(count=0, of=before.seen, shown=known),
                Side(count=answer.seen, of=after.seen, shown=status),
                f"Answered with {status}, where it was {known}",
            )


def _compare_answer(found: Comparison, where: str, before: Answer, after: Answer) -> None:
    tell = Teller(found, where)
    new = {kind: n for kind, n in after.content_types.items() if kind not in before.content_types}
    if new and before.content_types:
        known = ", ".join(before.content_types)
        tell.new(
            "",
            "content-type-changed",
            "breaking",
            Share(sum(new.values()), after.seen),
            Total(before.seen),
            Side(count=0, of=before.seen, shown=known),
            Side(count=sum(new.values()), of=after.seen, shown=", ".join(new)),
            f"The body is {', '.join(new)}, where it was {known}",
        )
    if before.shape is not None and after.shape is not None:
        ShapeComparer(tell).shape("", before.shape, after.shape)
    elif before.shape is not None:
        tell.not_told("", "too-few", "No JSON body was seen.")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
