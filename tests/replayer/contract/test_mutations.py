"""One known change of a recording, and the check names that change and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from replayer.contract.checking import Report
from tests.profiles import examples
from tests.replayer.contract.backend import (
    STATUSES,
    Said,
    changed,
    checked,
    entries_of,
    fleet,
    learnt,
    places,
    pointer,
    recordings,
)
from tests.replayer.recordings import numbered

OTHER_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda date: date[:10],
    lambda date: date[:19],
    lambda date: date.replace("T", " "),
    lambda date: date[:19] + date[23:],
    lambda date: date[:23] + ("Z" if not date.endswith("Z") else "+00:00"),
    lambda date: "1582733126469",
    lambda date: "yesterday",
)


def is_date(value: Any) -> bool:
    return isinstance(value, str) and value[4:5] == "-" and "T" in value


def retyped(value: Any, to: Any) -> Any:
    """The value as another type."""
    return (
        value is not None
        and type(value) is not type(to)
        and not (
            isinstance(value, int | float)
            and isinstance(to, int | float)
            and not isinstance(value, bool)
            and not isinstance(to, bool)
        )
    )


def assert_only(report: Report, what: str, severity: str, where: str, place: str) -> None:
    assert report.verdict == "drift", report
    where = "status (PING)" if where == "status" else where
    found = [(each.what, each.severity, each.where, each.place) for each in report.changes]
    assert found == [(what, severity, where, place)]
    assert not [each for each in report.unchecked if each.deviates]


def choose(data: st.DataObject, said: list[Said], fits: Callable[[list[Any]], bool]) -> Any:
    found = [each for each in places(said) if fits(each[2])]
    assume(found)
    return data.draw(st.sampled_from([(where, path) for where, path, _ in found]))


@settings(max_examples=examples(40), deadline=None)
@given(said=recordings, data=st.data(), some=st.booleans())
def test_a_field_that_is_added_is_named(said: list[Said], data: st.DataObject, some: bool) -> None:
    where, path = choose(data, said, lambda values: True)
    value = data.draw(st.sampled_from([None, 1, 1.5, "new", True, [], {}, {"deep": [{"er": 1}]}]))
    path = (*path[:-1], "brand/new~")
    after = changed(said, where, path, lambda holder: holder.update({path[-1]: value}), some=some)
    place = pointer(where, (*path[:-1], "brand~1new~0"))
    assert_only(checked(learnt(entries_of(said)), after), "field-added", "additive", where, place)


@settings(max_examples=examples(40), deadline=None)
@given(said=recordings, data=st.data(), some=st.booleans())
def test_a_field_that_is_removed_is_named(
    said: list[Said], data: st.DataObject, some: bool
) -> None:
    where, path = choose(data, said, lambda values: True)
    after = changed(said, where, path, lambda holder: holder.pop(path[-1]), some=some)
    what = "field-missing" if some else "field-removed"
    report = checked(learnt(entries_of(said)), after)
    assert_only(report, what, "breaking", where, pointer(where, path))


@settings(max_examples=examples(40), deadline=None)
@given(said=recordings, data=st.data(), some=st.booleans())
def test_a_value_of_another_type_is_named(
    said: list[Said], data: st.DataObject, some: bool
) -> None:
    to = data.draw(st.sampled_from([1, 1.5, "text", True, ["a"], {"a": 1}]))
    where, path = choose(data, said, lambda values: all(retyped(each, to) for each in values))
    after = changed(said, where, path, lambda holder: holder.update({path[-1]: to}), some=some)
    report = checked(learnt(entries_of(said)), after)
    assert_only(report, "type-changed", "breaking", where, pointer(where, path))


@settings(max_examples=examples(40), deadline=None)
@given(said=recordings, data=st.data(), some=st.booleans())
def test_a_null_where_there_never_was_one_is_named(
    said: list[Said], data: st.DataObject, some: bool
) -> None:
    where, path = choose(data, said, lambda values: None not in values)
    after = changed(said, where, path, lambda holder: holder.update({path[-1]: None}), some=some)
    what, severity = ("null-new", "breaking") if some else ("always-null", "breaking")
    report = checked(learnt(entries_of(said)), after)
    assert_only(report, what, severity, where, pointer(where, path))


@settings(max_examples=examples(40), deadline=None)
@given(said=recordings, data=st.data(), some=st.booleans())
def test_a_date_that_is_spelled_otherwise_is_named(
    said: list[Said], data: st.DataObject, some: bool
) -> None:
    spell = data.draw(st.sampled_from(OTHER_SPELLINGS))
    where, path = choose(
        data, said, lambda values: all(is_date(each) and spell(each) != each for each in values)
    )

    def respell(holder: Any) -> None:
        holder[path[-1]] = spell(holder[path[-1]])

    report = checked(learnt(entries_of(said)), changed(said, where, path, respell, some=some))
    assert_only(report, "format-changed", "breaking", where, pointer(where, path))


@settings(max_examples=examples(20), deadline=None)
@given(
    devices=st.integers(12, 15),
    where=st.sampled_from(["devices", "GET /api/devices 200"]),
    value=st.text("abcdefg ", min_size=1, max_size=12),
    some=st.booleans(),
)
def test_a_new_value_of_an_enumeration_is_named(
    devices: int, where: str, value: str, some: bool
) -> None:
    assume(value not in STATUSES)
    said = fleet(devices)
    after = changed(said, where, ("status",), lambda holder: holder.update(status=value), some=some)
    what, severity = ("enum-value-new", "additive") if some else ("enum-replaced", "breaking")
    report = checked(learnt(entries_of(said)), after)
    assert_only(report, what, severity, where, pointer(where, ("status",)))


@settings(max_examples=examples(25), deadline=None)
@given(said=recordings, seed=st.integers())
def test_what_was_learnt_is_the_same_in_any_order(said: list[Said], seed: int) -> None:
    contract = learnt(entries_of(said))
    assert checked(contract, said).verdict == "same"
    shuffled = list(said)
    random.Random(seed).shuffle(shuffled)
    report = checked(contract, shuffled)
    assert (report.verdict, report.changes) == ("same", [])
    again = learnt(entries_of(shuffled))
    assert (again.messages, again.calls) == (contract.messages, contract.calls)
    assert checked(again, said).verdict == "same"


@settings(max_examples=examples(40), deadline=None)
@given(said=recordings, data=st.data(), few=st.integers(0, 4), some=st.booleans())
def test_a_few_messages_are_undecided_whatever_changed(
    said: list[Said], data: st.DataObject, few: int, some: bool
) -> None:
    where, path = choose(data, said, lambda values: True)
    name = data.draw(st.sampled_from([path[-1], "new"]))
    value = data.draw(st.sampled_from(["text", None, 1]))

    def change(holder: Any) -> None:
        holder.pop(path[-1])
        holder[name] = value

    after = changed(said, where, path, change, some=some)
    cut = [Said(each.where, each.objects[:1]) for each in after[-few:]] if few else []
    report = checked(learnt(entries_of(said)), cut)
    assert (report.verdict, report.changes) == ("undecided", [])


@settings(max_examples=examples(15), deadline=None)
@given(said=recordings, other=recordings, at=st.integers(0, 200))
def test_two_recordings_are_learnt_as_one_would_be(
    said: list[Said], other: list[Said], at: int
) -> None:
    apart = learnt(entries_of(said[:at]), entries_of([*said[at:], *other]))
    together = learnt(numbered(entries_of([*said, *other])))
    assert (apart.messages, apart.calls) == (together.messages, together.calls)
