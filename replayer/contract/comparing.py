"""Two contracts side by side: kinds of messages, calls, statuses, and the shapes of each. Pure.

Requests are the client's: they are learnt, and not compared. Nor is a kind or a call a change that
was not seen: what is sent and asked for depends on the hour and on the client. But where a kind
that was much of the contract is not seen among many messages, it is undecided.
"""

from __future__ import annotations

from typing import Final

from replayer.contract.findings import Comparison, Side, Unchecked
from replayer.contract.model import Answer, Call, Contract, Message
from replayer.contract.shapes import ShapeComparer, are_same_subjects
from replayer.contract.telling import Teller
from replayer.contract.weighing import (
    CHANCE,
    ENOUGH,
    Share,
    Subjects,
    Total,
    chance_of_none,
    chance_of_so_many,
)
from replayer.reading.words import counted

__all__ = ["compare", "kinds_unseen"]

_MUCH: Final = 0.1
"""A kind with a greater share of the contract's messages is missed where it is not seen."""


def compare(contract: Contract, candidate: Contract) -> Comparison:
    """What changed from the contract to the candidate, which was learnt with all values."""
    found = Comparison(changes=[], remarks=[], unchecked=[], checked=[])
    _compare_unreadable(found, contract, candidate)
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


def kinds_unseen(contract: Contract, candidate: Contract) -> tuple[list[str], int]:
    """The kinds of messages that the candidate lacks, and how many there are in the contract. PINGs
    and keep-alives do not count: whether one comes is a matter of half a minute."""
    kinds = [kind for kind, message in contract.messages.items() if not _is_known(kind, message)]
    return [kind for kind in kinds if kind not in candidate.messages], len(kinds)


def _compare_unreadable(found: Comparison, contract: Contract, candidate: Contract) -> None:
    before = Share(contract.unreadable, _seen(contract) + contract.unreadable)
    after = Share(candidate.unreadable, _seen(candidate) + candidate.unreadable)
    if not after.count:
        return
    tell = Teller(found, "messages")
    now = f"{after.count} of {after.of} messages"
    was = f"{before.count or 'none'} of {before.of}"
    if after.count * before.of <= before.count * after.of:
        sentence = f"No JSON object could be made of {now}, as of {was} before: left out."
        tell.remark("", "unreadable", sentence)
    elif min(before.of, after.of) >= ENOUGH and chance_of_so_many(after, before) < CHANCE:
        tell.changed(
            "",
            "unreadable",
            "breaking",
            Side(count=before.count, of=before.of, shown="unreadable"),
            Side(count=after.count, of=after.of, shown="unreadable"),
            f"No JSON object can be made of {now}, where it was so with {was}.",
        )
    else:
        sentence = f"No JSON object could be made of {now}, of {was} before; that may be chance."
        tell.not_told("", "by-chance", sentence, deviates=True)


def _seen(contract: Contract) -> int:
    return sum(message.seen for message in contract.messages.values())


def _compare_kinds(found: Comparison, contract: Contract, candidate: Contract) -> None:
    before, after = _seen(contract), _seen(candidate)
    for kind, message in contract.messages.items():
        other = candidate.messages.get(kind)
        tell = Teller(found, _name(kind, message))
        if other is None:
            share = Share(message.seen, before)
            sentence = f"No such message among {after}; the contract has {share.count} of {before}."
            is_missed = (
                not _is_known(kind, message)
                and share.count > _MUCH * before
                and chance_of_none(share, Total(after), smoothed=False) < CHANCE
            )
            tell.not_told("", "not-seen", sentence, deviates=is_missed)
        else:
            ShapeComparer(tell).shape("", message.shape, other.shape)
    subjects = _subjects_of(contract, candidate)
    for kind, message in candidate.messages.items():
        if kind in contract.messages or not before:
            continue
        tell = Teller(found, _name(kind, message))
        if _is_known(kind, message):
            sentence = f"The contract has none, now {counted(message.seen, 'messages')}: no change."
            tell.remark("", "kind-known", sentence)
        else:
            tell.new(
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


def _is_known(kind: str, message: Message) -> bool:
    """Whether it is a PING (manual section 3.3), the timeout of the session (3.4), or the
    keep-alive of later Traccar versions: known without a contract."""
    return kind in ("", "webSessionTimeout") or _is_ping(kind, message)


def _is_ping(kind: str, message: Message) -> bool:
    status = message.shape.fields.get("status") if kind == "status" else None
    if status is None or status.shape.items is None:
        return False
    said = status.shape.items.fields.get("type")
    if said is None:
        return False
    if said.shape.values is not None:
        return said.shape.values.keys() == {"PING"}
    # A contract need not list the texts, where they are few: an example and its length tell too.
    return (said.shape.example, said.shape.shortest, said.shape.longest) == ("PING", 4, 4)


def _name(kind: str, message: Message) -> str:
    return "status (PING)" if _is_ping(kind, message) else kind


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
