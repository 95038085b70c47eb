"""What is found by its shape, and what only looks like it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.leaks.formats import TOKEN_FORMATS, Hit, formats_in, personal_in
from recorder.leaks.harmless import is_harmless, is_pseudonym
from recorder.model import Note
from tests.leaks.support import TEXT_WRAPS, detectors, look_at
from tests.profiles import examples

# Put together here, so that what looks for secrets in source code finds none.
A36 = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4eFg7h"
TOKENS = {
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{A36}",
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "age": "AGE-SECRET-KEY-" + "1" + "QPZRY9X8GF" * 6,
    "anthropic": "sk-" + f"ant-api03-{A36}",
    "aws": "AK" + "IAIOSFODNN7EXAMPLE",
    "azure": "Account" + "Key=" + A36 * 2 + "A" * 14 + "==",
    "digitalocean": "dop" + "_v1_" + "0123456789abcdef" * 4,
    "github": "gh" + f"p_{A36}",
    "gitlab": "gl" + f"pat-{A36[:20]}",
    "google": "AI" + f"za{A36[:35]}",
    "hugging-face": "h" + f"f_{A36[:34]}",
    "mapbox": "sk." + f"eyJ{A36}.{A36[:22]}",
    "npm": "np" + f"m_{A36}",
    "openai": "sk-" + f"proj-{A36}",
    "pypi": "py" + f"pi-AgEIcHlwaS5vcmc{A36 * 2}",
    "sendgrid": "S" + f"G.{A36[:22]}.{A36}abcdefg",
    "shopify": "sh" + "pat_" + "0123456789abcdef" * 2,
    "slack": "xo" + "xb-123456789012-abcdefghijkl",
    "stripe": "sk" + f"_live_{A36[:24]}",
    "telegram": "123456789" + f":AA{A36[:33]}",
}
OTHERS = {
    "email": ["bob@example.com", "jörg.o'neil+x@büro.example", "a.b-c_d@x.y.zz"],
    "credentials": [
        "Basic " + base64.b64encode(b"bob:hunter2").decode(),
        "bearer " + A36,
        "https://bob:hunter2@example.com/x",
        "postgres://:hunter2@db/x",
    ],
}


def found(text: str) -> list[str]:
    return [hit.detector for hit in formats_in(text)]


def test_every_format_of_the_table_has_an_example_here() -> None:
    assert {one.name for one in TOKEN_FORMATS} == set(TOKENS)
    assert all(one.source and one.words for one in TOKEN_FORMATS)


@pytest.mark.parametrize("name", sorted(TOKENS))
@pytest.mark.parametrize("around", ["{}", '{{"x":"{}"}}', "a {} b", "?x={}&y=1", "\n{}\n"])
def test_a_known_token_is_found_by_its_format(name: str, around: str) -> None:
    assert name in found(around.format(TOKENS[name]))


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(sorted(TOKENS)), st.sampled_from(sorted(TEXT_WRAPS)))
def test_a_known_token_is_found_in_every_spelling(name: str, wrap: str) -> None:
    note = Note(offset_ns=1, text=TEXT_WRAPS[wrap](f"- {TOKENS[name]} -"))
    assert detectors(look_at([note])) != []


@pytest.mark.parametrize(
    ("detector", "text"), [(name, text) for name, texts in OTHERS.items() for text in texts]
)
def test_addresses_and_credentials_are_found(detector: str, text: str) -> None:
    for around in ("{}", "<{}>", '{{"x":"{}"}}', "ab {}, cd"):
        assert detector in found(around.format(text))


@pytest.mark.parametrize(
    "text",
    [
        "logo@2x.png",
        "user@localhost",
        "@media (x.y)",
        "a @ b.c",
        "npm i trio@0.26.1",
        "Basic realm=api",
        "basic training",
        "Bearer of news",
        "Basic [redacted]",
        "https://[redacted]@example.com/",
        "https://example.com:8082/a@b",
        "http://[::1]:80/",
        "eyJhbGciOiJIUzI1NiJ9",
        "AKIA is a prefix",
        "x" + TOKENS["github"],
        "sk_live_",
        "-----BEGIN PUBLIC KEY-----",
        "4.6.1712.0-38546f5-sBISD-hMZ-gGUCH-lFEW-wEB-bOD-oES",
        "2025-02-21T10:05:04.906+00:00",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("detector", "text"),
    [
        ("uuid", "pong a0b34365-908f-4868-a52a-84a3ed83bd59"),
        ("uuid", "A0B34365-908F-4868-A52A-84A3ED83BD59"),
        ("uuid", "a0b34365-908f-8868-752a-84a3ed83bd59"),
        ("uuid", "d87b32bdcc0e437a81b3383833bc5ff8"),
        ("mac", "00:1A:2b:3c:4d:5e:6f:70"),
        ("mac", "00:1A:2b:3c:4d:5e"),
        ("mac", "03-1a-2b-3c-4d-5e"),
        ("phone", "call +49 170 1234567"),
        ("phone", "+1 (555) 010-9999"),
    ],
)
def test_what_tells_whose_it_is_is_found(detector: str, text: str) -> None:
    assert [hit.detector for hit in personal_in(text)] == [detector]


@pytest.mark.parametrize(
    "text",
    [
        "a0b34365-908f-8868-a52a-84a3ed83bd59",
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "d87b32bdcc0e837a81b3383833bc5ff8",
        "1" * 32,
        "02:1A:2b:3c:4d:5e",
        "fe-1a-2b-3c-4d-5e",
        "ff:ff:ff:ff:ff:ff",
        "+999170123456789",
        "2025-02-21T10:05:04.906+00:00",
        "10:05:04",
        "+0000",
        "1e+12345678901",
    ],
)
def test_pseudonyms_and_dates_tell_nobody(text: str) -> None:
    assert list(personal_in(text)) == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("name", "name-abcd2345"),
        ("contact", "contact-zzzz7777"),
        ("phone", "+9991234567"),
        ("unique-id", "00661168222238"),
        ("unique-id", "00"),
        ("unique-id", "id-abcdefgh"),
        ("unique-id", "021a2b3c4d5e"),
        ("unique-id", "02:1a:2b:3c:4d:5e"),
        ("uuid", "d87b32bdcc0e837a81b3383833bc5ff8"),
        ("mac", "02:1a:2b:3c:4d:5e"),
    ],
)
def test_a_pseudonym_is_told(kind: str, value: str) -> None:
    assert is_pseudonym(kind, value)
    assert not is_pseudonym("address", value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("name", "Bob"),
        ("name", "name-abcd2341"),
        ("name", "name-abcd23456"),
        ("phone", "+499"),
        ("unique-id", "661168222238"),
        ("unique-id", "001a2b3c4d5e"),
        ("unique-id", "IMEI 00"),
        ("uuid", "d87b32bdcc0e437a81b3383833bc5ff8"),
        ("mac", "00:1a:2b:3c:4d:5e"),
    ],
)
def test_what_is_no_pseudonym_is_told(kind: str, value: str) -> None:
    assert not is_pseudonym(kind, value)


@pytest.mark.parametrize(
    "value", ["", " ", "null", "True", "***", "[redacted]", "[redacted:cookie-1]", '"null",', "<>"]
)
def test_a_value_that_tells_nothing_is_harmless(value: str) -> None:
    assert is_harmless(value)


@pytest.mark.parametrize("value", ["x", "[redacted]x", "0", "[redacted", "nulls", "é"])
def test_any_rest_is_not(value: str) -> None:
    assert not is_harmless(value)


def test_a_hit_shows_no_value() -> None:
    assert "hunter2" not in repr(Hit("value", "hunter2", "the value of X"))
