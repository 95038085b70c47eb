"""The rules, text by text."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.redaction import Redactor, masker, spans
from recorder.redaction.rules import may_hold_key, rule_of_key
from recorder.redaction.views import plain, views_of
from tests.profiles import examples

BLOB = base64.b64encode(b"bob:hunter22").decode()
JWT = "eyJhbGciOi.eyJzdWIi.c2ln-_"

MASKED = {
    # JSON: every byte but the value stays.
    '{ "a":1.10, "Password" : "x\\"y", "b":[]}': '{ "a":1.10, "Password" : "[redacted]", "b":[]}',
    '{"password":null,"pwd":true,"token":false}': '{"password":null,"pwd":true,"token":false}',
    '{"pwd":1234,"api_key":-1.5e3}': '{"pwd":"[redacted]","api_key":"[redacted:token-1]"}',
    '{"credentials":{"user":"u","n":[1,null,{"k":"v"}]},"z":"u"}': (
        '{"credentials":{"user":"[redacted]","n":["[redacted]",null,{"k":"[redacted]"}]},"z":"u"}'
    ),
    '{"p\\u0061ssword":"x"}': '{"p\\u0061ssword":"[redacted]"}',
    '{"label":"Password:","x":"y"}': '{"label":"Password:","x":"y"}',
    '{"type":"password","token":""}': '{"type":"password","token":""}',
    '{"log":"{\\"pwd\\":12,\\"token\\":\\"a\\\\\\"b\\"}","n":1}': (
        '{"log":"{\\"pwd\\":\\"[redacted]\\",\\"token\\":\\"[redacted:token-1]\\"}","n":1}'
    ),
    '{"a":"\\"password\\":\\"abc\\\\","b":"c"}': '{"a":"\\"password\\":\\"[redacted]","b":"c"}',
    '{"id":1}~{"token":"a"} ~\n{"token":"b"}': (
        '{"id":1}~{"token":"[redacted:token-1]"} ~\n{"token":"[redacted:token-2]"}'
    ),
    '"m":"\\nbob@x.example"': '"m":"\\n[redacted:email-1]"',
    # Torn texts.
    'x","password":"hunter': 'x","password":"[redacted]',
    'lf","token":"a","b":"c': 'lf","token":"[redacted:token-1]","b":"c',
    # Program text and logs.
    "{email:'bob@x.example',password:'s3'})": "{email:'[redacted:email-1]',password:'[redacted]'})",
    "{'token': 12}": "{'token': '[redacted:token-1]'}",
    "login with password=hunter2 failed": "login with password=[redacted] failed",
    "if (token == null) token => x": "if (token == null) token => x",
    f"said Basic {BLOB} to": "said Basic [redacted] to",
    "Basic authentication is accepted": "Basic authentication is accepted",
    "bearer abcdefghijklmnop12": "bearer [redacted:token-1]",
    f"saw {JWT}!": "saw [redacted:token-1]!",
    f"curl -H 'Authorization: Basic {BLOB}' http://h": "curl -H 'Authorization: Basic [redacted]' http://h",
    "Set-Cookie: a=b; Path=/api\r\nX: y": "Set-Cookie: a=[redacted:cookie-1]; Path=/api\r\nX: y",
    "Vary: Cookie\r\nServer: x": "Vary: Cookie\r\nServer: x",
    # URLs.
    "https://u:p@h.example/x?a=b@c.example": "https://[redacted]@h.example/x?a=[redacted:email-1]",
    "/x;jsessionid=n0.n?a=1": "/x;jsessionid=[redacted:cookie-1]?a=1",
    "/x?d=%7B%22pwd%22%3A%22a%20b%22%2C%22n%22%3A1%7D": (
        "/x?d=%7B%22pwd%22%3A%22[redacted]%22%2C%22n%22%3A1%7D"
    ),
    "to bob@x.example. Or lodash@4.17.21, page@d09b": (
        "to [redacted:email-1]. Or lodash@4.17.21, page@d09b"
    ),
}


@pytest.mark.parametrize("text", MASKED)
def test_only_the_value_is_replaced(text: str) -> None:
    assert Redactor().text(text) == MASKED[text]


@pytest.mark.parametrize("text", MASKED)
def test_a_masked_text_is_left_alone(text: str) -> None:
    redactor = Redactor()
    assert redactor.text(MASKED[text]) == MASKED[text]
    assert redactor.counts == {}


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("PASSWORD", "password"),
        ("p-w_d", "password"),
        ("X-Api-Key", "token"),
        ("user[api_key]", "token"),
        ("Proxy-Authorization", "token"),
        ("Set-Cookie", "cookie"),
        ("J_SESSION_ID", "cookie"),
        ("credentials", "password"),
        ("e-mail", "email"),
        ("contactEmail", None),
        ("tokens", None),
        ("Sec-WebSocket-Key", None),
        ("webSessionTimeout", None),
    ],
)
def test_a_name_tells_its_rule(key: str, rule: str | None) -> None:
    assert rule_of_key(key) == rule


words = st.sampled_from(
    [
        *("password", "PWD", "p_w-d", "token", "API-KEY", "authorization", "J_SESSIONID", "email"),
        *(
            "Basic ",
            BLOB,
            "Bearer abcdefghijklmnopq",
            JWT,
            "passw",
            "[redacted:token-1]",
            "bob@x.example",
            "x",
            "7",
            "é",
            "K",
        ),
        *(
            '"',
            "'",
            ":",
            "=",
            " ",
            "{",
            "}",
            "[",
            ",",
            "&",
            "~",
            "\\",
            "\\u0041",
            "%41",
            "%22",
            "\n",
        ),
    ]
)


@settings(max_examples=examples(600))
@given(st.lists(words, max_size=12).map("".join))
@example('"to\u212aen":"x"')
def test_the_screen_lets_no_secret_pass(text: str) -> None:
    screened = sorted(spans.found_in(text))
    original = spans.may_hold_key
    spans.may_hold_key = lambda _: True
    try:
        assert sorted(spans.found_in(text)) == screened
    finally:
        spans.may_hold_key = original


@settings(max_examples=examples(400))
@given(st.lists(words, max_size=14).map("".join))
@example("password:%22Basic %22")
@example(f"Bearer abcdefghijklmnopqBasic Basic {BLOB}")
@example("bob@x.example~bob@x.example")
@example(f"{BLOB}email:password:{BLOB}")
def test_any_text_is_stable_after_one_pass(text: str) -> None:
    once = Redactor().text(text)
    again = Redactor()
    assert again.text(once) == once
    assert again.counts == {}


def test_the_screen_lets_ordinary_messages_pass() -> None:
    assert not may_hold_key(
        '{"positions":[{"id":1,"deviceId":2,"attributes":{"batteryLevel":100.0}}]}'
    )
    assert not may_hold_key('{"status":[{"message":"a0b34365","type":"PING","localeKey":null}]}')


@settings(max_examples=examples(200))
@given(
    st.lists(words | st.sampled_from(["%C3%A9", "%ff", "\\n", "\\ud834\\udd1e"]), max_size=12).map(
        "".join
    )
)
def test_a_view_knows_where_its_characters_stood(text: str) -> None:
    for view in views_of(text):
        places = [view.raw(i) for i in range(len(view.text) + 1)]
        assert places == sorted(places)
        assert places[-1] == len(text)
        for char, start, end in zip(view.text, places, places[1:], strict=False):
            if end - start == 1:
                assert text[start] == char


def test_plain_undoes_every_spelling() -> None:
    assert {
        plain(s) for s in ["a@é𝄞", "a%40%C3%A9%f0%9d%84%9e", "a\\u0040\\u00e9\\ud834\\udd1e"]
    } == {"a@é𝄞"}


def test_a_short_value_is_not_learnt() -> None:
    redactor = Redactor()
    redactor.learn("password", "x" * (masker.MIN_LEARNT_CHARS - 1))
    redactor.learn("password", "redacted")
    assert redactor.text("xxxxxxx token=a") == "xxxxxxx token=[redacted:token-1]"


def test_a_caption_is_not_learnt() -> None:
    redactor = Redactor()
    redactor.text('{"loginPassword":"Password","userToken":"Session token"}')
    assert redactor.text('{"changePasswordText":"Password"}') == '{"changePasswordText":"Password"}'


def test_a_learnt_number_in_json_becomes_a_string() -> None:
    redactor = Redactor()
    redactor.learn("password", "12345678")
    assert redactor.text('{"id":12345678,"n":"12345678"}') == '{"id":"[redacted]","n":"[redacted]"}'


HOSTILE = {
    "one name": lambda n: "token=" * n,
    "nested objects": lambda n: '{"token":' * n,
    "long run": lambda n: "a" * n * 4,
    "token heads": lambda n: "eyJ" * n,
    "many at": lambda n: "a@a." * n,
    "quotes": lambda n: '"password":"' * n,
    "backslashes": lambda n: "\\" * n * 2,
    "part heads": lambda n: 'name="password"\n' * n,
    "percent": lambda n: "%25" * n,
    "schemes": lambda n: "://" * n + "@",
    "brackets": lambda n: '"token":[' + "[" * n,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_time_is_linear_in_the_length(kind: str) -> None:
    def seconds(n: int) -> float:
        start = time.process_time()
        Redactor().text(HOSTILE[kind](n))
        return time.process_time() - start

    small = min(seconds(2_000) for _ in range(3))
    # Quadratic would be 400 times; the floor covers a clock that is coarse.
    assert seconds(40_000) < 80 * max(small, 0.002)
