"""What the check says, beside the mutations: doubts, kinds, calls, and when it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.wire.frames import Opcode
from replayer.contract.checking import Report, check
from replayer.contract.model import Contract
from tests.replayer.contract.backend import PING, Said, checked, entries_of, fleet, learnt
from tests.replayer.recordings import frame, header, numbered


def objects(count: int, of: int = 10, **fields: Any) -> list[Said]:
    """So many positions, each in a message, of so many devices."""
    return [
        Said("positions", [{"id": number, "deviceId": number % of} | fields])
        for number in range(count)
    ]


def contract_of(said: list[Said]) -> Contract:
    return learnt(entries_of(said))


def found(report: Report) -> list[tuple[str, str, str]]:
    return [(each.severity, each.what, each.place) for each in report.changes]


def unchecked(report: Report) -> dict[str, str]:
    return {each.place: each.why for each in report.unchecked}


def test_an_optional_field_that_is_rare_is_not_known_to_be_gone() -> None:
    said = objects(997) + objects(3, battery=1)
    report = checked(contract_of(said), objects(20))
    assert (report.verdict, report.changes) == ("same", [])
    assert unchecked(report) == {"/positions/*/battery": "not-seen"}


def test_an_optional_field_that_was_in_most_is_gone() -> None:
    said = objects(100) + objects(300, battery=1)
    report = checked(contract_of(said), objects(20))
    assert found(report) == [("deprecated", "field-removed", "/positions/*/battery")]


def test_a_field_of_some_devices_is_not_gone_where_others_were_seen() -> None:
    said = objects(500, of=3) + [
        Said("positions", [{"id": number, "deviceId": 7, "battery": 1}]) for number in range(500)
    ]
    report = checked(contract_of(said), objects(500, of=3))
    assert (report.verdict, report.changes) == ("same", [])
    assert unchecked(report) == {"/positions/*/battery": "not-seen"}


def test_a_rare_new_field_is_undecided() -> None:
    report = checked(contract_of(objects(100)), objects(100) + objects(1, battery=1))
    assert report.verdict == "undecided"
    assert unchecked(report) == {"/positions/*/battery": "by-chance"}
    assert "one thing may have changed" in report.summary


def test_a_new_field_of_one_device_among_few_is_undecided() -> None:
    said = objects(500, of=3)
    more = [Said("positions", [{"id": 1, "deviceId": 9, "battery": 1}])] * 200
    report = checked(contract_of(said), said + more)
    assert report.verdict == "undecided"
    assert unchecked(report) == {"/positions/*/battery": "by-chance"}


def test_a_null_that_comes_no_more_is_no_change() -> None:
    said = objects(50, x=None) + objects(50, x=1)
    report = checked(contract_of(said), objects(100, x=1))
    assert (report.verdict, report.changes, report.unchecked) == ("same", [], [])


def test_a_field_that_was_sometimes_null_and_always_is_now_says_nothing_any_more() -> None:
    said = objects(50, x=None) + objects(50, x=1)
    report = checked(contract_of(said), objects(100, x=None))
    assert found(report) == [("deprecated", "always-null", "/positions/*/x")]
    report = checked(contract_of(said), objects(6, x=None))
    assert (report.verdict, unchecked(report)) == ("same", {"/positions/*/x": "not-seen"})


def test_a_value_where_there_was_always_null_is_additive() -> None:
    report = checked(contract_of(objects(50, x=None)), objects(50, x="a"))
    assert found(report) == [("additive", "value-new", "/positions/*/x")]
    report = checked(contract_of(objects(50, x=[])), objects(50, x=[1]))
    assert found(report) == [("additive", "value-new", "/positions/*/x")]


def test_an_array_that_became_an_object_is_a_change_of_type() -> None:
    report = checked(contract_of(objects(50, x=[1])), objects(50, x={"0": 1}))
    assert found(report) == [("breaking", "type-changed", "/positions/*/x")]


def test_the_spelling_of_numbers_and_their_range_are_remarks() -> None:
    report = checked(contract_of(objects(50, x=100)), objects(50, x=200.0))
    assert report.verdict == "same"
    assert [each.what for each in report.remarks] == ["number-spelling", "range"]


def test_a_number_in_a_string_may_become_a_word_which_is_additive() -> None:
    report = checked(contract_of(objects(50, x="12")), objects(50, x="ground"))
    assert found(report) == [("additive", "format-added", "/positions/*/x")]
    report = checked(contract_of(objects(50, x="")), objects(50, x="12"))
    assert (report.verdict, [each.what for each in report.remarks]) == (
        "same",
        ["format-new", "range"],
    )


def test_free_text_may_be_anything() -> None:
    said = objects(50, note="Halle 7") + objects(50, note="2025-02-21")
    report = checked(contract_of(said), objects(50, note="192.168.0.1"))
    assert (report.verdict, report.changes) == ("same", [])
    assert [each.what for each in report.remarks] == ["range"]


def test_an_enumeration_that_became_many_texts_is_another() -> None:
    said = objects(50, of=25, state="on") + objects(50, of=25, state="off")
    many = [
        Said("positions", [{"id": 1, "deviceId": number, "state": f"word {number}"}])
        for number in range(100)
    ]
    assert found(checked(contract_of(said), many)) == [
        ("breaking", "enum-replaced", "/positions/*/state")
    ]


def test_a_value_of_an_enumeration_that_is_gone_is_remarked_on() -> None:
    said = objects(50, of=25, state="on") + objects(50, of=25, state="off")
    report = checked(contract_of(said), objects(50, state="on"))
    assert report.verdict == "same"
    assert [each.what for each in report.remarks] == ["enum-value-unseen"]


def test_masked_values_are_not_judged() -> None:
    said = objects(50, contact="Anna B")
    report = checked(contract_of(said), objects(50, contact="[redacted:email-1]"))
    assert (report.verdict, unchecked(report)) == ("same", {"/positions/*/contact": "masked"})
    masked = objects(40, x="[redacted]") + objects(40, x=None)
    assert checked(contract_of(masked), objects(80, x="a")).changes == []
    assert checked(contract_of(objects(80, x="a")), masked).changes == []


def test_where_names_are_data_no_name_is_new() -> None:
    def keyed(start: int) -> list[Said]:
        return [
            said
            for number in range(start, start + 300)
            for said in objects(1, attributes={f"key {number}": 1, "always": 1})
        ]

    report = checked(contract_of(keyed(0)), keyed(1000))
    assert (report.verdict, report.changes) == ("same", [])
    assert unchecked(report) == {"/positions/*/attributes": "names-are-data"}


def test_a_new_kind_of_message_is_additive() -> None:
    said = fleet(12)
    report = checked(contract_of(said), said + [Said("alarms", [{"id": 1}])] * 60)
    assert [(each.what, each.severity, each.where) for each in report.changes] == [
        ("kind-new", "additive", "alarms")
    ]
    report = checked(contract_of(said), [*said, Said("alarms", [{"id": 1}])])
    assert (report.verdict, report.changes) == ("undecided", [])


def test_a_kind_or_a_call_that_was_not_seen_is_not_called_gone() -> None:
    said = fleet(12)
    positions = [each for each in said if each.where == "positions"]
    report = checked(contract_of(said), positions[:5])
    assert report.verdict == "same"
    assert {(each.where, each.why) for each in report.unchecked if not each.place} == {
        ("devices", "not-seen"),
        ("status (PING)", "not-seen"),
        ("GET /api/devices", "not-seen"),
    }


def test_a_call_that_the_contract_does_not_know_is_not_judged() -> None:
    said = fleet(12)
    asked = [Said("GET /api/groups 200", [])] * 20
    report = checked(contract_of(said), said + asked)
    assert report.verdict == "same"
    assert [(each.where, each.why) for each in report.unchecked if each.why != "too-few"] == [
        ("GET /api/groups", "unknown")
    ]


@pytest.mark.parametrize(
    ("status", "verdict"), [("404", "drift"), ("201", "drift"), ("401", "same")]
)
def test_another_status_is_breaking_unless_it_tells_of_the_session(
    status: str, verdict: str
) -> None:
    said = [Said("GET /api/devices 200", [{"id": 1}])] * 6
    report = checked(
        contract_of(said), objects(0) + said + [Said(f"GET /api/devices {status}", [])] * 30
    )
    assert report.verdict == verdict
    if verdict == "drift":
        assert found(report) == [("breaking", "status-changed", "")]


BROKEN = [b'{positions":[{"id":1}]}', b'{"positions":[{"id":1,"a":{"b":{}}', b"{}~{", b"[1]"]


def broken(said: list[Said], count: int, text: bytes = BROKEN[0]) -> list[Any]:
    """The messages, and then so many that no JSON object can be made of."""
    return [*entries_of(said), *[frame("server", text)] * count]


@pytest.mark.parametrize("text", BROKEN)
def test_messages_that_cannot_be_read_are_breaking(text: bytes) -> None:
    calls = [Said("GET /api/devices 200", [{"id": 1}])] * 9
    contract = contract_of(objects(100) + calls)
    report = check(contract, header(), broken(calls, 100, text))
    assert report.verdict == "drift"
    (change,) = report.changes
    assert (change.severity, change.what, change.where) == ("breaking", "unreadable", "messages")
    assert (change.before.count, change.before.of) == (0, 100)
    assert (change.after.count, change.after.of) == (100, 100)


def test_binary_messages_cannot_be_read() -> None:
    binary = [frame("server", b'{"positions":[]}', opcode=Opcode.BINARY)] * 50
    report = check(contract_of(objects(50)), header(), binary)
    assert [each.what for each in report.changes] == ["unreadable"]


def test_a_few_messages_that_cannot_be_read_are_undecided() -> None:
    report = check(contract_of(objects(20)), header(), broken(objects(20), 1))
    assert (report.verdict, report.changes) == ("undecided", [])
    assert unchecked(report) == {"": "by-chance"}


def test_what_could_not_be_read_before_either_is_a_remark() -> None:
    contract = learnt(broken(objects(100), 10))
    assert contract.unreadable == 10
    report = check(contract, header(), broken(objects(100), 10))
    assert (report.verdict, [each.what for each in report.remarks]) == ("same", ["unreadable"])
    assert check(contract, header(), broken(objects(100), 12)).verdict == "undecided"
    assert check(contract, header(), broken(objects(100), 60)).verdict == "drift"


def ping(number: int) -> Said:
    return Said("status", [PING | {"message": f"uuid {number}"}])


def test_a_ping_or_a_keep_alive_is_never_a_new_kind() -> None:
    said = objects(50)
    pings = [ping(number) for number in range(50)]
    others = [frame("server", b"{}")] * 50 + [frame("server", b'{"webSessionTimeout":[9]}')] * 50
    report = check(contract_of(said), header(), numbered([*entries_of(said + pings), *others]))
    assert (report.verdict, report.changes) == ("same", [])
    assert not [each for each in report.unchecked if each.deviates]
    assert {each.where for each in report.remarks if each.what == "kind-known"} == {
        "",
        "status (PING)",
        "webSessionTimeout",
    }


def test_without_the_pings_of_the_contract_it_is_the_same() -> None:
    contract = contract_of(objects(50) + [ping(number) for number in range(50)])
    report = checked(contract, objects(50))
    assert report.verdict == "same"
    assert "not seen" not in report.summary
    assert [(each.where, each.why) for each in report.unchecked] == [("status (PING)", "not-seen")]


def test_a_status_that_is_no_ping_is_a_new_kind() -> None:
    alarm = Said("status", [PING | {"type": "ALRM"}])
    report = checked(contract_of(objects(100)), objects(100) + [ping(1), alarm] * 50)
    assert [(each.what, each.where) for each in report.changes] == [("kind-new", "status")]


def test_a_kind_that_was_much_and_is_not_seen_is_undecided() -> None:
    events = [Said("events", [{"id": 1}])] * 50
    contract = contract_of(objects(50) + events)
    report = checked(contract, events)
    assert report.verdict == "undecided"
    assert report.summary.endswith("compared, but 1 of 2 kinds was not seen: positions")
    assert checked(contract, events[:8]).verdict == "same"
    rare = contract_of(objects(1000) + events)
    report = checked(rare, objects(1000))
    assert report.verdict == "same"
    assert report.summary.endswith("compared, but 1 of 2 kinds was not seen: events")


@pytest.mark.parametrize(
    ("had", "severity"), [(200, "breaking"), (199, "breaking"), (190, "deprecated")]
)
def test_what_nearly_all_had_and_none_has_is_breaking(had: int, severity: str) -> None:
    new = objects(200)
    report = checked(contract_of(objects(had, x=1) + objects(200 - had)), new)
    assert found(report) == [(severity, "field-removed", "/positions/*/x")]
    new = objects(200, x=None)
    report = checked(contract_of(objects(had, x=1) + objects(200 - had, x=None)), new)
    assert found(report) == [(severity, "always-null", "/positions/*/x")]


def test_nothing_seen_is_undecided() -> None:
    report = checked(contract_of(fleet(12)), [])
    assert report.verdict == "undecided"
    assert report.summary == "too little seen to compare anything: 0 messages and 0 calls"


def test_another_type_is_undecided_though_it_was_seen_once() -> None:
    contract = contract_of([*objects(50), Said("webSessionTimeout", [86400])])
    report = checked(contract, [*objects(50), Said("webSessionTimeout", ["86400"])])
    assert (report.verdict, report.changes) == ("undecided", [])
    (doubt,) = (each for each in report.unchecked if each.deviates)
    assert (doubt.place, doubt.why) == ("/webSessionTimeout/*", "too-few")
    assert doubt.sentence == (
        "The type is string, where it was number: in 1 of 1 now, in none of 1 before;"
        " too little seen to call it a change."
    )


def test_what_a_list_holds_tells_enough_of_the_list() -> None:
    answers = [Said("GET /api/devices 200", [{"id": number, "a": 1} for number in range(9)])]
    report = checked(contract_of(answers), answers)
    assert (report.verdict, report.unchecked) == ("same", [])


@pytest.mark.parametrize("devices", [1, 6, 7])
def test_other_devices_may_be_of_another_kind_if_they_are_few(devices: int) -> None:
    said = objects(200, of=devices, battery=1)
    others = [
        Said("positions", [{"id": number, "deviceId": 100 + number % devices, "speed": 1.5}])
        for number in range(200)
    ]
    report = checked(contract_of(said), others)
    assert report.verdict == ("undecided" if devices < 7 else "drift")
    again = checked(contract_of(said), objects(200, of=devices, speed=1.5))
    assert [each.place for each in again.changes] == [
        "/positions/*/battery",
        "/positions/*/speed",
    ]
