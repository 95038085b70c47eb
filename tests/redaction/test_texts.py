"""The rules, text by text."""

from __future__ import annotations

import base64
import itertools
import json
import sys
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recorder.redaction import Redactor, masker, screen, spans
from recorder.redaction.rules import rule_of_key
from recorder.redaction.screen import may_hold_key
from recorder.redaction.views import plain, views_of
from tests.profiles import examples

MANUAL = Path(__file__).parents[2] / "fixtures" / "manual"
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
    # Names that mean other things, too, go by the shape of the value.
    '{"pass":"a b","pin":1234,"sid":"abcdefgh1","session":"n0de-1234","auth":["abcdefgh2"]}': (
        '{"pass":"[redacted]","pin":"[redacted]","sid":"[redacted:cookie-1]",'
        '"session":"[redacted:cookie-2]","auth":["[redacted:token-1]"]}'
    ),
    '{"compass":12,"pin":4,"session":"open","bypass":"a","auth":{"type":"basic"},"sid":7}': (
        '{"compass":12,"pin":4,"session":"open","bypass":"a","auth":{"type":"basic"},"sid":7}'
    ),
    "3 pass: 2 fail; lastSession=2025-02-21T10:05": "3 pass: 2 fail; lastSession=2025-02-21T10:05",
    '{"p\\u0061ssword":["x\\"y",1]}': '{"p\\u0061ssword":["[redacted]","[redacted]"]}',
    '{"password":["x\\"y"],"b":"c"}': '{"password":["[redacted]"],"b":"c"}',
    '[["Cookie","a=b; c=d"],["Vary","Cookie"],["token","email"]]': (
        '[["Cookie","a=[redacted:cookie-1]; c=[redacted:cookie-2]"],'
        '["Vary","Cookie"],["token","email"]]'
    ),
    '{"name":"X-Auth-Token","value":"abc"}': '{"name":"X-Auth-Token","value":"[redacted:token-1]"}',
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
            "pass",
            "userPass",
            "pin",
            "12345",
            "Session",
            "sid",
            "cookie",
            "null",
            "name=",
            "--B\r\nname=",
            "\r\n\r\n",
            "name",
            "value",
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


learnt = st.sampled_from(
    ["x7&é =%", "12345678", "passw", "hunter2 or so", "node0abc", "Ztoken\\", "bob@x.example"]
)


@settings(max_examples=examples(600))
@given(st.lists(words | learnt, max_size=12).map("".join), st.lists(learnt, max_size=3))
@example('"to\u212aen":"x"', [])
@example('{"a":1,"lastAsnCookie":null,"token":"x"}', [])
@example(',"lastAsnCookie":null,"lastAsnCookie":null,"lastAsnCookie":"x"', [])
def test_the_screen_lets_no_secret_pass(text: str, values: list[str]) -> None:
    screened, slow = Redactor(), Redactor()
    for value in values:
        screened.learn("cookie", value)
        slow.learn("cookie", value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans, "clues", lambda _: screen.Clues(True, True, True, True, True))
        patch.setattr(masker.Masker, "passes", lambda *_: False)
        expected = slow.text(text)
    assert screened.text(text) == expected
    assert screened.counts == slow.counts


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


@pytest.mark.parametrize("path", sorted(MANUAL.glob("*.json")), ids=lambda path: path.stem)
def test_of_the_objects_of_the_manual_nothing_is_masked(path: Path) -> None:
    text = path.read_text()
    assert Redactor().text(text) == text
    compact = json.dumps(json.loads(text), separators=(",", ":"))
    assert not may_hold_key(compact)


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
    "one name": "token=",
    "a name that needs a shape": "pin=",
    "nested objects": '{"token":',
    "nested lists": '"auth":[',
    "brackets": '"token":[',
    "pairs": '["Cookie","',
    "long run": "a",
    "token heads": "eyJ-",
    "many at": "a@a.",
    "addresses": "a1@b.example,",
    "quotes": '"password":"',
    "backslashes": "\\",
    "escapes": "\\u0061",
    "JSON in JSON": '\\"pwd\\":\\"',
    "part heads": 'name="password"\n',
    "part bodies": "name=pin\n\n",
    "percent": "%25",
    "percent signs": "%",
    "schemes": "://a@",
    "cookies": "Set-Cookie: a=b,",
    "basic": "basic YTpi",
    "marks": "[redacted:email-1]a@b.example ",
    "a harmless name": ',"lastAsnCookie":null',
    "a learnt value": "correct horse",
}


def calls_of(text: str) -> int:
    """How many functions, built-in ones too, are called to redact a text."""
    redactor = Redactor()
    redactor.learn("password", "correct horse")
    calls = itertools.count()

    def profile(frame: FrameType, event: str, arg: object) -> None:
        next(calls)

    sys.setprofile(profile)
    try:
        redactor.text(text)
    finally:
        sys.setprofile(None)
    return next(calls)


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_work_is_linear_in_the_length(kind: str) -> None:
    # Quadratic would be 16 times. What one call of a pattern does, `make bench` shows.
    assert calls_of(HOSTILE[kind] * 800) < 4.5 * calls_of(HOSTILE[kind] * 200)


@pytest.mark.parametrize("cut", range(9, 21))
def test_a_value_that_its_shape_tells_is_masked_from_its_first_letter_where_a_piece_is_torn(
    cut: int,
) -> None:
    text = b'[{"sid":"tk90000000000"}]'
    one = masker.Masker({})
    pieces = one.mask_piece(b"", text[:cut]), one.mask_piece(text[:cut], text[cut:])
    assert b"tk9" not in b"".join(pieces)
    assert b"t" not in pieces[0].replace(b"redacted", b"")
