"""Profile `share` over single texts: what is replaced, by what, and what stays."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from recorder.redaction.edits import Edit
from recorder.redaction.share import Pseudonyms, RedactionKey, Share
from recorder.redaction.share.fields import ORDINARY_WORDS, field_of
from recorder.redaction.share.merged import in_order
from tests.profiles import examples
from tests.redaction.share_support import KEY, OTHER_KEY, applied

PSEUDONYM = {
    "name": r"name-[a-z2-7]{8}",
    "contact": r"contact-[a-z2-7]{8}",
    "phone": r"\+999\d{10,12}",
    "uniqueId": r"00\d+|id-[a-z2-7]{8}",
}
words = st.text(st.sampled_from("abcXYZäß019 _-.'/\\\"{}~&=%"), min_size=4, max_size=20).map(
    lambda text: f"Q{text.strip()}z"
)


def of(rule: str, value: str) -> str:
    new = Pseudonyms(KEY).of(rule, value)
    assert new is not None
    return new


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Operation Management"),
        ("deviceName", "quickstart-guide-device-1"),
        ("beaconName", "x"),
        ("leafGroupName", "api-quickstart-guide-group"),
        ("contact", "Hans Meier, Tor 3"),
        ("phone", "+49 (0) 951 30 20 67 0"),
        ("phone", "0951/302067"),
        ("uniqueId", "661168222238"),
        ("uniqueId", "truck-12"),
        ("uniqueId", "12"),
    ],
)
def test_a_field_gets_a_pseudonym_of_its_kind(field: str, value: str) -> None:
    kind = "name" if field.lower().endswith("name") else field
    new = json.loads(applied(Share(KEY), json.dumps({field: value})))[field]
    assert re.fullmatch(PSEUDONYM[kind], new)


@given(st.integers(12, 25).flatmap(lambda n: st.text("123456789", min_size=n, max_size=n)))
@settings(max_examples=examples(50))
def test_a_unique_id_of_digits_keeps_its_length(value: str) -> None:
    new = of("id", value)
    assert (len(new), new[:2]) == (len(value), "00")


@pytest.mark.parametrize(
    "value",
    [
        "d87b32bdcc0e437a81b3383833bc5ff8",
        "D87B32BD-CC0E-437A-81B3-383833BC5FF8",
        "d87b32bd-cc0e-437a-81b3-383833bc5ff8",
    ],
)
def test_a_uuid_becomes_one_of_version_8_in_its_spelling(value: str) -> None:
    for text in (f"pong {value}", f'{{"message":"{value}"}}', f"/api/x/{value}?a=1", value):
        new = applied(Share(KEY), text)
        [found] = re.findall(r"[0-9a-fA-F-]{32,36}", new)
        assert uuid.UUID(found).version == 8
        assert uuid.UUID(found).variant == uuid.RFC_4122
        assert [c.isalnum() for c in found] == [c.isalnum() for c in value]
        assert found.isupper() == value.isupper()
        assert uuid.UUID(found) == uuid.UUID(of("uuid", value.lower().replace("-", "")))


@pytest.mark.parametrize(
    "value", ["AA:BB:CC:00:11:22", "aa-bb-cc-00-11-22", "aa:bb:cc:00:11:22:33:44"]
)
def test_a_mac_becomes_a_locally_administered_one_in_its_spelling(value: str) -> None:
    new = applied(Share(KEY), f"seen {value} twice")[5:-6]
    octet = int(new[:2], 16)
    assert (octet & 2, octet & 1) == (2, 0)
    assert (len(new), new[2], new.isupper()) == (len(value), value[2], value.isupper())
    assert new != value


def test_a_mac_joins_however_it_is_spelled() -> None:
    text = '{"mac":"AABBCC001122","uniqueId":"aa:bb:cc:00:11:22","x":"aa-bb-cc-00-11-22"}'
    new = json.loads(applied(Share(KEY), text))
    spelled = {re.sub("[^0-9a-f]", "", value.lower()) for value in new.values()}
    assert len(spelled) == 1
    assert "aabbcc001122" not in spelled


@settings(max_examples=examples(100), deadline=None)
@given(st.sampled_from(sorted(PSEUDONYM)), words, words)
def test_pseudonyms_are_equal_exactly_where_values_are(field: str, one: str, other: str) -> None:
    share = Share(KEY)
    assume(share.pseudonyms.of("name", one) is not None)
    first = applied(share, json.dumps({field: one}))
    assert applied(Share(KEY), json.dumps({field: one}, ensure_ascii=False)) == first
    assert applied(Share(OTHER_KEY), json.dumps({field: one})) != first
    # Escapes, spaces and pluses are spelling.
    if re.sub(r"[\\+\s%]", "", one) != re.sub(r"[\\+\s%]", "", other):
        assert (applied(share, json.dumps({field: other})) == first) is False


@pytest.mark.parametrize("value", ["Hans Meier", "Müller & Söhne", "50 % off+more", 'a"b\\c'])
def test_a_value_joins_in_json_forms_and_urls(value: str) -> None:
    share = Share(KEY)
    expected = json.loads(applied(share, json.dumps({"name": value})))["name"]
    for text in (
        json.dumps({"name": value}, ensure_ascii=False),
        f"a=1&name={quote_plus(value)}&b=2",
        f"/api/devices?name={quote(value, safe='')}",
        f'{{"x":[{{"deviceName":{json.dumps(value)}}}]',
    ):
        new = applied(share, text)
        assert new.count(expected) == 1, new


def test_numbers_stay_numbers_and_join_with_their_strings() -> None:
    new = applied(Share(KEY), '{"uniqueId":661168222238,"phone":49951302067,"name":12}')
    value = json.loads(new)
    assert all(isinstance(one, int) for one in value.values())
    assert value["uniqueId"] == int(of("id", "661168222238"))
    assert applied(Share(KEY), '{"uniqueId":"661168222238"}') != '{"uniqueId":"661168222238"}'


def test_numbers_of_rows_and_what_is_nobodys_name_stay() -> None:
    text = (
        '{"positions":[{"id":794513912,"name":null,"attributes":{"batteryLevel":100,"floor":"2"},'
        '"protocol":"osmand","serverTime":"2025-02-21T10:05:04.882+00:00","deviceId":794513675,'
        '"positionId":1,"beaconId":794513671,"beaconMajor":4242,"beaconMinor":2,"rssi":-64,'
        '"address":null,"phone":"","contact":"","category":"null","model":"","groupId":7}]}'
    )
    assert applied(Share(KEY), text) == text


def test_address_and_description_are_masked() -> None:
    text = '{"address":"Mußstr. 16, Bamberg","description":"Tor \\"3\\""}'
    expected = '{"address":"[redacted]","description":"[redacted]"}'
    assert applied(Share(KEY), text) == expected


def test_a_list_under_a_name_is_replaced_too() -> None:
    new = json.loads(applied(Share(KEY), '{"phone":["0951-1","0951-2"],"ids":["a","b"]}'))
    assert all(value.startswith("+999") for value in new["phone"])
    assert new["ids"] == ["a", "b"]


def test_a_name_that_was_seen_is_replaced_as_a_word_in_other_texts() -> None:
    share = Share(KEY)
    name = json.loads(applied(share, '{"name":"Tor Süd-1"}'))["name"]
    device = json.loads(applied(share, '{"uniqueId":"661168222238"}'))["uniqueId"]
    assert applied(share, "Tor Süd-1 left Tor Süd-12 and XTor Süd-1") == (
        f"{name} left Tor Süd-12 and XTor Süd-1"
    )
    assert applied(share, "no device 661168222238!") == f"no device {device}!"
    assert applied(share, '{"message":"at Tor Süd-1"}') == f'{{"message":"at {name}"}}'
    assert applied(share, "/x?q=Tor+Süd-1") == f"/x?q={name}"
    # Never a name of a field, and a number stays one.
    assert applied(share, '{"Tor Süd-1": 1}') == '{"Tor Süd-1": 1}'
    assert json.loads(applied(share, '{"x": 661168222238}')) == {"x": int(device)}


@pytest.mark.parametrize("value", ["abc", "1234567", "online", "positions", "deviceId"])
def test_short_values_and_ordinary_words_are_replaced_under_their_name_only(value: str) -> None:
    share = Share(KEY)
    assert value not in applied(share, f'{{"name":"{value}"}}')
    assert applied(share, f"it is {value} now") == f"it is {value} now"


def test_ordinary_words_are_spelled_as_they_are_compared() -> None:
    assert all(word == word.lower() for word in ORDINARY_WORDS)


@pytest.mark.parametrize(
    "text",
    [
        '<meta name="viewport"><input name="email">',
        'Content-Disposition: form-data; name="file"',
        "Date: Tue, 15 Nov 2022 08:12:31 GMT",
        "2020-01-14T10:18:44.514+0000 2020-01-14T10:18:44+01:00",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.6099.109",
        "HTTP/1.1 101 Switching Protocols",
        "Sec-WebSocket-Accept: qGEgH3En71di5rrssAZTmtRTyFk=",
        "9ab0c2d4e6f8a0b2c4d6e8f0a2b4c6d8e0f2a4b6c8d0e2f4a6b8c0d2e4f6a8b0",
        '{"name":"[redacted]","contact":"[redacted:email-1]"}',
    ],
)
def test_what_is_no_value_stays(text: str) -> None:
    assert applied(Share(KEY), text) == text


@pytest.mark.parametrize(
    "text", ["call +49 951 302067-0 now", "tel:+49951302067", "(+1 555 123 4567)"]
)
def test_a_phone_is_found_by_its_shape(text: str) -> None:
    new = applied(Share(KEY), text)
    assert re.search(r"\+999\d{10,12}\b", new)
    assert not re.search("302067|123 4567", new)


def test_a_phone_ends_with_its_sentence() -> None:
    new = applied(Share(KEY), "call +49951302067. Or +49 951 302067, now")
    assert re.fullmatch(r"call \+999\d+\. Or \+999\d+, now", new)


def test_a_part_of_a_form_is_found() -> None:
    text = '--b\r\nContent-Disposition: form-data; name="uniqueId"\r\n\r\n12345\r\n--b--'
    assert applied(Share(KEY), text) == text.replace("12345", of("id", "12345"))


def test_json_is_read_where_it_is_torn_or_its_escapes_are_undone() -> None:
    name = of("name", "Hans")
    for text in (
        'e":"x"},{"name":"Hans"}',
        '{"log":"{"name":"Hans"}"}',
        'x","y":1}]}~{"name" : "Hans"}',
        '{"name":"Hans',
        'got "name":"Hans" of it',
        '{"quote":"say "hi" now","name":"Hans"}',
    ):
        assert applied(Share(KEY), text) == text.replace("Hans", name), text


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "phone", "uniqueId", "latitude", "longitude", "area", "mac", "x"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
    )


@settings(max_examples=examples(100), deadline=None)
@given(json_values)
@example({"name": -5, "uniqueId": 0, "latitude": 1e300, "longitude": -0.0})
def test_json_keeps_its_shape(value: Any) -> None:
    for ensure_ascii in (True, False):
        new = applied(Share(KEY), json.dumps(value, ensure_ascii=ensure_ascii))
        assert shape(json.loads(new)) == shape(value)


PIECES = [
    *('"name":', '"', "Hans", "{", "}", "[", "]", ",", "\\", "latitude", ":", "=", "1.23456", " "),
    *("uniqueId", "CIRCLE (", ")", "+49951302067", "&", "d87b32bdcc0e437a81b3383833bc5ff8"),
]


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_text_gives_edits_that_fit_and_stay(text: str) -> None:
    share = Share(KEY)
    once = applied(share, text)
    assert applied(share, once) == once


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("name", "name"),
        ("device_name", "name"),
        ("uniqueId", "id"),
        ("deviceUniqueId", "id"),
        ("phone", "phone"),
        ("macAddress", "mac"),
        ("lat", "latitude"),
        ("endLng", "longitude"),
        ("id", None),
        ("deviceId", None),
        ("flat", None),
        ("salon", None),
        ("filename", None),
        ("protocol", None),
        ("latency", None),
        ("along", None),
    ],
)
def test_names_of_fields(key: str, rule: str | None) -> None:
    field = field_of(key)
    assert (field and field.rule) == rule


def test_of_edits_that_overlap_nothing_is_left_and_nothing_replaced_twice() -> None:
    inner, outer, beyond = Edit(2, 4, "i", "x"), Edit(0, 6, "o", "x"), Edit(5, 9, "b", "y")
    assert in_order([inner, beyond], [outer]) == [outer, Edit(6, 9, "b", "y")]
    same = outer._replace(text="s")
    assert in_order([same], [outer]) == [same]


def test_a_key_shows_itself_nowhere() -> None:
    key = RedactionKey(b"a secret that nobody sees")
    assert repr(key) == f"<RedactionKey {key.id}>"
    assert re.fullmatch("[0-9a-f]{12}", key.id)
    assert RedactionKey.random().id != RedactionKey.random().id


HOSTILE = {
    "quotes": '"' * 4096,
    "keys": '"name":' * 600,
    "open": '{"a":[' * 700,
    "backslashes": "\\" * 4096,
    "names": '"name":"' + "a" * 4096,
    "equals": "name=" * 900,
    "numbers": "1.23456, " * 500,
    "digits": "1" * 4096,
    "hex": "a" * 4096,
    "macs": "aa:" * 1400,
    "dashes": "a-" * 2000,
    "shapes": "CIRCLE (" * 500,
    "points": "CIRCLE (" + "1.5 " * 1000,
    "pluses": "+1 " * 1300,
    "latitudes": '"latitude":1.5,' * 300,
    "form parts": "form-data; name=" * 250,
    "spaces": "name" + " " * 4096,
    "colons": "lat: " * 800,
    "learnt": "Hans Hans" * 450,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_linear_on_hostile_texts(text: str) -> None:
    # Sixteen times the text takes sixteen times as long, and not 256 times; the smallest of several
    # runs, for a machine may be busy.
    def seconds(repeats: int) -> float:
        best = float("inf")
        for _ in range(3):
            share = Share(KEY)
            share.learnt.add("Hans Hans Hans", "name-aaaaaaaa", "name")
            longer = text * repeats
            start = time.thread_time()
            share.edits(longer)
            best = min(best, time.thread_time() - start)
        return best

    assert seconds(16) < 90 * seconds(1) + 0.005
