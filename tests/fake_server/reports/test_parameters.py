"""What a report is asked for."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_server.reports import PARAMETERS, ReportError, ReportParameters, read_parameters
from recorder.track.rules import Rules
from tests.fake_server.reports.strategies import parameters
from tests.profiles import examples

FROM = "2025-02-21T10:00:00.000Z"
TO = "2025-02-21T20:00:00.000Z"
PERIOD = f"from={quote(FROM)}&to={quote(TO)}"
FROM_NS = 1_740_132_000_000_000_000
TO_NS = FROM_NS + 10 * 3600 * 10**9


def read(query: str, **rules: Any) -> ReportParameters:
    return read_parameters(query, Rules(**rules))


def refused(given: str | bytes, **rules: Any) -> ReportError:
    with pytest.raises(ReportError) as caught:
        read_parameters(given, Rules(**rules))
    return caught.value


def outcome(given: str | bytes) -> ReportParameters | ReportError:
    try:
        return read_parameters(given, Rules())
    except ReportError as error:
        return error


def dated(ns: int) -> str:
    seconds = (ns - FROM_NS) // 10**9 + 36_000
    days, seconds = divmod(seconds, 86_400)
    return f"2025-02-{21 + days:02}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"


def members(asked: ReportParameters) -> dict[str, Any]:
    """What a client sends for it."""
    return {
        "deviceId": list(asked.device_ids),
        "groupId": list(asked.group_ids),
        "type": list(asked.types),
        "from": dated(asked.from_ns),
        "to": dated(asked.to_ns),
        "filterSameLocation": asked.filter_same_location,
        "filterFlapping": asked.filter_flapping,
        "filterNonBeacon": asked.filter_non_beacon,
        "filterDurationMin": asked.duration_min_s,
        "gapTime": asked.gap_time_s,
        "useServerTime": asked.use_server_time,
    }


@settings(max_examples=examples(200))
@given(parameters)
def test_a_query_and_a_body_say_the_same(asked: ReportParameters) -> None:
    sent = members(asked)
    assert read_parameters(urlencode(sent, doseq=True), Rules()) == asked
    assert read_parameters(json.dumps(sent).encode(), Rules()) == asked


@settings(max_examples=examples(300))
@given(
    st.lists(
        st.tuples(
            st.sampled_from([one.name for one in PARAMETERS]),
            st.sampled_from(["", "0", "-1", "true", FROM, "2025-02-30", "9" * 19, "x", "\0", "+1"])
            | st.text(max_size=8),
        ),
        max_size=6,
    )
)
def test_any_values_are_read_or_refused_by_name(given: list[tuple[str, str]]) -> None:
    for sent in (urlencode(given), json.dumps({name: [value] for name, value in given}).encode()):
        error = outcome(sent)
        if isinstance(error, ReportError):
            assert error.rule == "rest.bad-value"
            assert any(name in error.seen for name, _ in [*given, ("from", ""), ("to", "")])
            assert error.status in (400, 404)


@given(st.text(max_size=30) | st.binary(max_size=30))
def test_any_query_and_any_body_are_read_or_refused(given: str | bytes) -> None:
    refused(given)


def test_the_script_of_the_manual_whose_filters_are_empty_is_understood() -> None:
    assert read(f"deviceId=794513675&{PERIOD}&") == ReportParameters(
        device_ids=(794513675,), from_ns=FROM_NS, to_ns=TO_NS
    )


def test_an_empty_value_counts_as_left_out() -> None:
    query = f"deviceId=&groupId=&type=&filterFlapping=&gapTime=&{PERIOD}"
    assert read(query) == ReportParameters(from_ns=FROM_NS, to_ns=TO_NS)


@pytest.mark.parametrize("name", ["from", "to"])
def test_a_period_has_two_ends(name: str) -> None:
    left_out = PERIOD.replace(f"{name}=", "x=")
    assert refused(left_out).seen == f"a report without {name}"
    assert refused(PERIOD.replace(f"{name}=", f"{name}=&x=")).seen == f"a report without {name}"


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "tRuE"])
def test_booleans_are_read_in_any_case(text: str) -> None:
    assert read(f"filterFlapping={text}&{PERIOD}").filter_flapping
    no = {"true": "false", "True": "False", "TRUE": "FALSE", "tRuE": "fAlSe"}[text]
    assert not read(f"filterFlapping={no}&{PERIOD}").filter_flapping


def test_repeated_parameters_keep_their_order_and_of_the_others_the_first_counts() -> None:
    asked = read(f"deviceId=3&type=b&deviceId=1&type=a&gapTime=5&gapTime=6&{PERIOD}")
    assert (asked.device_ids, asked.types, asked.gap_time_s) == ((3, 1), ("b", "a"), 5)


@pytest.mark.parametrize(
    ("query", "seen", "status"),
    [
        (f"deviceId=abc&{PERIOD}", "deviceId='abc'", 404),
        (f"groupId=1.5&{PERIOD}", "groupId='1.5'", 404),
        (f"deviceId={2**63}&{PERIOD}", f"deviceId='{2**63}'", 404),
        (f"deviceId=%D9%A3&{PERIOD}", "deviceId='٣'", 404),
        (f"filterFlapping=yes&{PERIOD}", "filterFlapping='yes'", 400),
        (f"gapTime=-1&{PERIOD}", "gapTime='-1'", 400),
        (f"filterDurationMin=1e3&{PERIOD}", "filterDurationMin='1e3'", 400),
        (f"from=soon&to={quote(TO)}", "from='soon'", 400),
        (f"from=2025-02-30T10:00:00Z&to={quote(TO)}", "from='2025-02-30T10:00:00Z'", 400),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(query: str, seen: str, status: int) -> None:
    error = refused(query)
    assert (error.seen, error.status) == (seen, status)
    assert error.expected in str(error)


def test_the_status_of_an_id_that_is_no_number_is_a_rule() -> None:
    assert refused(f"deviceId=abc&{PERIOD}", status_bad_id=422).status == 422


def test_an_unencoded_plus_arrives_as_a_space_and_is_refused_with_a_hint() -> None:
    error = refused(f"from=2025-02-21T10:00:00+00:00&to={quote(TO)}")
    assert error.seen == "from='2025-02-21T10:00:00 00:00'"
    assert "%2B" in error.expected


@pytest.mark.parametrize(
    "text", ["2025-02-21T10:00:00+0000", "2025-02-21T10:00:00.000", "2025-02-21"]
)
def test_old_spellings_of_dates_are_a_rule(text: str) -> None:
    query = f"from={quote(text)}&to={quote(TO)}"
    assert read(query).from_ns == (FROM_NS if "T" in text else FROM_NS - 36_000 * 10**9)
    assert refused(query, date_spellings="new").seen == f"from='{text}'"


@pytest.mark.parametrize("text", [FROM, "2025-02-21T12:00:00+02:00", "2025-02-21T10:00:00.0+00:00"])
def test_new_spellings_of_dates_always_pass(text: str) -> None:
    query = f"from={quote(text)}&to={quote(TO)}"
    assert read(query).from_ns == read(query, date_spellings="new").from_ns == FROM_NS


def test_the_body_that_clients_post_is_understood() -> None:
    body = {
        "deviceIds": [0],
        "trackableIds": [],
        "types": ["allEvents"],
        "from": FROM,
        "to": TO,
        "filterSameLocation": False,
        "filterFlapping": True,
        "filterNonBeacon": False,
        "gapTime": 90,
        "filterDurationMin": 300,
        "queryId": None,
    }
    assert read_parameters(json.dumps(body).encode(), Rules()) == ReportParameters(
        device_ids=(0,),
        types=("allEvents",),
        from_ns=FROM_NS,
        to_ns=TO_NS,
        filter_flapping=True,
        gap_time_s=90,
        duration_min_s=300,
    )


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"deviceId": [True]}, "deviceId=True"),
        ({"deviceId": [[1]]}, "deviceId=[1]"),
        ({"deviceIds": [1.0]}, "deviceIds=1.0"),
        ({"deviceIds": 1}, "deviceIds=1"),
        ({"from": 5}, "from=5"),
        ({"filterFlapping": 1}, "filterFlapping=1"),
        ({"deviceId": [None]}, "deviceId=None"),
        ({"gapTime": -1}, "gapTime=-1"),
        ({"gapTime": 10**12}, "gapTime=1000000000000"),
        ({"type": {}}, "type={}"),
        ({"types": [{}]}, "types={}"),
        ({"to": ["x"]}, "to=['x']"),
    ],
)
def test_a_value_of_another_type_in_a_body_is_refused(value: dict[str, Any], seen: str) -> None:
    assert refused(json.dumps({"from": FROM, "to": TO} | value).encode()).seen == seen


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert refused(body).expected == "a JSON object"


def test_a_long_value_is_not_repeated_whole() -> None:
    assert len(refused(f"deviceId={'x' * 5000}&{PERIOD}").seen) < 80
