"""What is secret by the name that it stands under."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.leaks.names import named_in, under_name
from recorder.model import Request
from tests.leaks.support import look_at
from tests.profiles import examples


def values(text: str, *, personal: bool = False) -> list[tuple[str, str]]:
    return sorted({(hit.detector, hit.value) for hit in named_in(text, personal=personal)})


names = st.sampled_from(
    [
        *("password", "new-password", "user[password]", "PASSWD", "pwd", "clientSecret"),
        *("api_key", "API-Key", "accessToken", "token", "credentials", "pass", "passcode"),
        *("sessionId", "PHPSESSID", "jwt", "otp", "authKey", "private_key", "smtpPass"),
        *("password2", "token_1"),
    ]
)
words = st.text(st.sampled_from("abz019._-"), min_size=1, max_size=12).filter(
    lambda word: any(char.isalnum() for char in word) and word.strip(".") not in ("none", "null")
)


@settings(max_examples=examples(150), deadline=None)
@given(
    names,
    words,
    st.sampled_from(
        [
            '{{"{}":"{}"}}',
            '[{{"id":1,"x":[{{ "{}" : "{}" }}]}}]~{{}}',
            '{{"{}":{{"a":["{}"]}}}}',
            '{{"name":"{}","value":"{}"}}',
            '{{"a":"b\\u0041","{}":"{}',
            "[[{0!r},{1!r}]]",
            "a=1&{}={}&b=2",
            "https://h/p;{}={}?x",
            "lost: {} = {} at last",
            "'{}': '{}'",
            "<r><{0}>{1}</{0}></r>",
            'Content-Disposition: form-data; name="{}"\r\n\r\n{}\r\n--x--',
        ]
    ),
)
def test_a_value_is_found_under_a_secret_name_in_any_notation(
    name: str, value: str, notation: str
) -> None:
    if notation.startswith(("<", "https")) and not name.isalnum():
        return
    text = notation.format(name, value)
    if notation.startswith("[["):
        text = json.dumps([[name, value]])
    assert any(value in found for _, found in values(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"password":null,"token":"","secret":"null","cookie":[],"pwd":"[redacted]"}',
        '{"a":1,"lastAsnCookie":null,"x":"y"}~{"torn":"',
        "password=&token=[redacted:token-1]&x=1",
        '"label":"Password:","x":"y"',
        '<input name="password" type="password">',
        "A cookie: it is small; and an authorization: see below",
        "the password\nis long",
        "compass=12&inside=3&residence: Bonn",
        '{"localeKey":"k","keyboard":"de","passage":"x","tokens_used":3,"sessions":["a"]}',
        "Set-Cookie: JSESSIONID=[redacted:cookie-1]; Path=/api; Secure\r\n",
        "Authorization: Basic [redacted]\r\n",
        "token == 3; token => ; password::x",
    ],
)
def test_what_tells_nothing_is_left_alone(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Cookie", "a=1; b=[redacted:cookie-1]; c=x=y", ["1", "x=y"]),
        ("Set-Cookie", "JSESSIONID=abc; Path=/api", ["abc"]),
        ("Set-Cookie2", "JSESSIONID=abc; Path=/api", ["abc"]),
        ("Authorization", "Digest username=x", ["username=x"]),
        ("authorization", "abc", ["abc"]),
        ("Proxy-Authorization", "Basic [redacted]", []),
        ("X-Api-Key", "abc", ["abc"]),
        ("Sec-WebSocket-Key", "abc", []),
        ("X-Other", "abc", []),
    ],
)
def test_header_fields_are_read_by_their_names(name: str, value: str, expected: list[str]) -> None:
    assert [hit.value for hit in under_name(name, value)] == expected
    request = Request(
        connection=1, exchange=1, method="GET", target="/", headers=[(name, value)], offset_ns=1
    )
    assert len(look_at([request])) == len(expected)
    raw = f"GET / HTTP/1.1\r\n{name}: {value}\r\n\r\n"
    assert bool(values(raw)) == bool(expected)


@pytest.mark.parametrize("name", ["session", "auth", "X-Auth", "csrf", "sig", "signature", "sid"])
def test_a_name_that_may_mean_anything_needs_a_value_that_looks_secret(name: str) -> None:
    for text in ('{{"{}":"{}"}}', "?a=1&{}={}&b=2"):
        assert values(text.format(name, "a8f3k2l9x")) == [("session-id", "a8f3k2l9x")]
        for word in ("open", "required", "2025-02-21T10:05:04", "7"):
            assert values(text.format(name, word)) == []
    assert values(f"the {name}: a8f3k2l9x") == []
    assert values('{"pin":"1234","pins":"1234"}{"pin":"D4"}') == [("password", "1234")]


def test_a_key_that_stands_twice_is_seen_twice() -> None:
    assert values('{"password":"one","password":"two"}') == [
        ("password", "one"),
        ("password", "two"),
    ]


@pytest.mark.parametrize(
    ("key", "value", "detector"),
    [
        ("name", "Bob's van", "name"),
        ("deviceName", "Van 1", "name"),
        ("phone", "0170123", "phone"),
        ("contact", "Bob", "contact"),
        ("uniqueId", "661168222238", "unique-id"),
        ("uuid", "d87b32bdcc0e437a81b3383833bc5ff8", "uuid"),
        ("address", "1 Main Street", "address"),
        ("mac", "00:1a:2b:3c:4d:5e", "mac"),
    ],
)
def test_personal_values_are_found_only_where_they_are_looked_for(
    key: str, value: str, detector: str
) -> None:
    text = json.dumps({"devices": [{"id": 1, key: value}]})
    assert values(text, personal=True) == [(detector, value)]
    assert values(text) == []


@pytest.mark.parametrize(
    "value",
    [
        {"name": "name-abcd2345", "phone": "+999123", "contact": None, "uniqueId": "006"},
        {"name": "", "hostname": "track", "address": "[redacted]", "filename": "x.js"},
        {"address": "10.0.0.1", "uuid": "d87b32bdcc0e837a81b3383833bc5ff8"},
    ],
)
def test_pseudonyms_are_left_alone(value: object) -> None:
    assert values(json.dumps(value), personal=True) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"devices":[{"name":"Bob","uniqueId":"66', [("name", "Bob"), ("unique-id", "66")]),
        ("/api/devices?uniqueId=66116&x=1", [("unique-id", "66116")]),
        ("/api/devices?phone=%2B49170", [("phone", "+49170")]),
        ("/api/devices?phone=%2B9991234&uniqueId=0016", []),
        ('{"phone":{"type":"string"},"uniqueId":661168222238}', []),
        ('{"phone":["+49"],"contact":{"name":"Bob"}}', [("name", "Bob"), ("phone", "+49")]),
    ],
)
def test_personal_values_are_found_in_torn_json_and_urls(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert values(text, personal=True) == found


def test_a_token_among_subprotocols_is_told_and_their_names_are_not() -> None:
    def told(value: str) -> list[str]:
        return [hit.value for hit in under_name("Sec-WebSocket-Protocol", value)]

    assert told("track.v1, chat, soap12, graphql-transport-ws") == []
    assert told("track.v1, tk90000000000") == ["tk90000000000"]
    assert told("access_token, hunter, track.v1") == ["hunter"]
    assert told("access_token, [redacted token], track.v1") == []
