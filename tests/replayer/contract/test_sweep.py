"""Every place of what the fake's fleet says, changed in every way: only that change is named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import pytest

from fake_server.fleet import Fleet
from replayer.contract.checking import Report, check
from replayer.contract.model import Contract
from replayer.contract.weighing import ENOUGH
from tests.replayer.contract.backend import learnt
from tests.replayer.recordings import frame, header, numbered

Path: TypeAlias = tuple[str, ...]

NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)
MESSAGES = 150
NEW = {"bool": True, "number": 7.5, "text": "a text", "array": [1], "object": {"a": 1}}
KINDS = {bool: "bool", int: "number", float: "number", str: "text", list: "array", dict: "object"}
SPELLINGS: dict[str, Callable[[str], str]] = {
    "zone": lambda date: date[:-6] + "Z" if date.endswith("+00:00") else date[:-5] + "+00:00",
    "space": lambda date: date.replace("T", " "),
    "no fraction": lambda date: re.sub(r"\.\d+", "", date),
    "a number": lambda date: "1582733126469",
    "a word": lambda date: "yesterday",
}


class Mutation(NamedTuple):
    """A change of the value at a path; it takes the container and the key."""

    name: str
    path: Path
    place: str
    seen: int
    change: Callable[[Any, Any], object]


def said() -> list[Any]:
    cues = Fleet(now=lambda: NOW).cues(0)
    return [json.loads(cue.message or b"") for cue in islice(cues, MESSAGES)]


def recorded(messages: list[Any]) -> list[Any]:
    return numbered(frame("server", json.dumps(each).encode()) for each in messages)


def judged(contract: Contract, messages: list[Any]) -> Report:
    return check(contract, header(), recorded(messages))


def holders(value: Any, path: Path) -> Iterator[tuple[Any, Any]]:
    """Each container and key that the path leads to; ``*`` is every element."""
    if path[0] == "*":
        keys: Any = range(len(value)) if isinstance(value, list) else ()
    else:
        keys = [path[0]] if isinstance(value, dict) and path[0] in value else ()
    for key in keys:
        if len(path) == 1:
            yield value, key
        else:
            yield from holders(value[key], path[1:])


def places(messages: list[Any]) -> dict[Path, list[Any]]:
    """All values by path."""
    found: dict[Path, list[Any]] = {}

    def walk(value: Any, path: Path) -> None:
        if path:
            found.setdefault(path, []).append(value)
        pairs: Any = ()
        if isinstance(value, dict):
            pairs = value.items()
        elif isinstance(value, list):
            pairs = (("*", each) for each in value)
        for name, each in pairs:
            walk(each, (*path, name))

    for message in messages:
        walk(message, ())
    return found


def put(new: Any, *, in_nulls: bool = False) -> Callable[[Any, Any], object]:
    def change(holder: Any, key: Any) -> None:
        if in_nulls or holder[key] is not None:
            holder[key] = new(holder[key]) if callable(new) else new

    return change


def mutations(messages: list[Any]) -> Iterator[Mutation]:
    """All changes that there are to each place."""
    for path, values in places(messages).items():
        place, some = "/" + "/".join(path), [value for value in values if value is not None]
        kinds = {KINDS[type(value)] for value in some}

        def made(
            name: str,
            change: Callable[[Any, Any], object],
            path: Path = path,
            place: str = place,
            seen: int = len(values),
        ) -> Mutation:
            return Mutation(name, path, place, seen, change)

        if len(path) > 1 and path[-1] != "*":
            yield made("removed", lambda holder, key: holder.pop(key))
        if some:
            yield made("null", put(None))
        else:
            yield made("value", put(3, in_nulls=True))
        for name, new in NEW.items():
            if some and name not in kinds:
                yield made(name, put(new))
        if kinds == {"object"}:
            added = put(lambda each: each | {"brand new": 1})
            yield made("added", added, place=f"{place}/brand new")
        if kinds == {"text"} and all(re.match(r"\d{4}-.*T", value) for value in some):
            for name, spell in SPELLINGS.items():
                yield made(name, put(spell))


def assert_named(contract: Contract, messages: list[Any], mutation: Mutation) -> None:
    """The change alone is named; or, where it is of a part of the devices or was seen too rarely,
    it alone is undecided, or said not to be checked."""
    mutated = json.loads(json.dumps(messages))
    for message in mutated:
        for holder, key in list(holders(message, mutation.path)):
            mutation.change(holder, key)
    report = judged(contract, mutated)
    named = {each.place for each in report.changes}
    doubted = {each.place for each in report.unchecked if each.deviates}
    listed = {each.place for each in report.unchecked}
    what = f"{mutation.name} at {mutation.place}: {report.summary}"
    assert named | doubted <= {mutation.place}, what
    assert len(report.changes) <= 1, what
    if not named | doubted:
        above = {mutation.place.rsplit("/", cut)[0] for cut in range(4)}
        assert listed & above or mutation.seen < ENOUGH, what


@pytest.fixture(scope="module")
def messages() -> list[Any]:
    return said()


@pytest.fixture(scope="module")
def contract(messages: list[Any]) -> Contract:
    return learnt(recorded(messages))


def test_without_a_change_it_is_the_same(contract: Contract, messages: list[Any]) -> None:
    report = judged(contract, messages)
    assert (report.verdict, report.changes, report.remarks) == ("same", [], [])


def test_each_place_is_changed_once(contract: Contract, messages: list[Any]) -> None:
    """One kind of change for each place, another for the next one."""
    by_place: dict[Path, list[Mutation]] = {}
    for mutation in mutations(messages):
        by_place.setdefault(mutation.path, []).append(mutation)
    assert len(by_place) > 80
    for number, some in enumerate(by_place.values()):
        assert_named(contract, messages, some[number % len(some)])


@pytest.mark.nightly
def test_each_place_is_changed_in_every_way(contract: Contract, messages: list[Any]) -> None:
    for mutation in mutations(messages):
        assert_named(contract, messages, mutation)


def test_what_every_device_has_is_named_for_certain(
    contract: Contract, messages: list[Any]
) -> None:
    for place, name in (
        (("positions", "*", "fixTime"), "zone"),
        (("positions", "*", "deviceId"), "text"),
        (("devices", "*", "status"), "removed"),
        (("devices", "*", "attributes"), "added"),
        (("devices", "*", "disabled"), "null"),
    ):
        (mutation,) = (
            each for each in mutations(messages) if (each.path, each.name) == (place, name)
        )
        mutated = json.loads(json.dumps(messages))
        for message in mutated:
            for holder, key in list(holders(message, place)):
                mutation.change(holder, key)
        report = judged(contract, mutated)
        assert [each.place for each in report.changes] == [mutation.place]


def of(messages: list[Any], devices: set[int]) -> list[Any]:
    """What is said of those devices."""
    names = {"devices": "id", "positions": "deviceId", "events": "deviceId"}
    kept = []
    for message in messages:
        ((kind, objects),) = message.items()
        name = names.get(kind)
        objects = [each for each in objects if name is None or each[name] in devices]
        if objects:
            kept.append({kind: objects})
    return kept


def test_other_devices_are_never_drift(messages: list[Any]) -> None:
    """One against each other, and each against all the others: they differ in what they have."""
    devices = sorted({each["id"] for told in messages for each in told.get("devices", ())})
    assert len(devices) > 10
    ours = {number: of(messages, {number}) for number in devices}
    contracts = {number: learnt(recorded(each)) for number, each in ours.items()}
    rest = {number: of(messages, set(devices) - {number}) for number in devices}
    for at, number in enumerate(devices):
        other = devices[(at * 5 + 3) % len(devices)]
        assert judged(contracts[number], ours[other]).changes == []
        assert judged(contracts[number], rest[number]).changes == []
    last = devices[-1]
    assert judged(learnt(recorded(rest[last])), ours[last]).changes == []
    assert judged(contracts[last], ours[last]).verdict == "same"
