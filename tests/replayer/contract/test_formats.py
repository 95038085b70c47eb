"""The names of the forms of strings."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replayer.contract.formats import form_of, is_strict
from tests.profiles import examples

FORMS = {
    "date-time.000+0000": ["2020-02-26T16:05:26.469+0000", "2020-02-26T16:05:26.469-0130"],
    "date-time.000+00:00": ["2025-02-21T10:05:04.906+00:00", "2025-02-21T10:05:04.906+01:00"],
    "date-time.000Z": ["2025-02-21T10:05:04.906Z"],
    "date-time.000000Z": ["2025-02-21T10:05:04.906123Z"],
    "date-timeZ": ["2025-02-21T10:05:04Z"],
    "date-time+0000": ["2025-02-21T10:05:04+0000"],
    "date-time": ["2025-02-21T10:05:04"],
    "date time-minutes": ["2025-02-21 10:05"],
    "date": ["2025-02-21"],
    "uuid": ["a0b34365-908f-4868-a52a-84a3ed83bd59"],
    "uuid-upper": ["A0B34365-908F-4868-A52A-84A3ED83BD59"],
    "uuid-plain": ["9a06de64642b4441b377b63c2d5cd828"],
    "uuid-plain-upper": ["9A06DE64642B4441B377B63C2D5CD828"],
    "mac": ["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7"],
    "ipv4": ["192.168.0.1", "8.8.8.8"],
    "email": ["demo@example.com", "a.b+c@mail.example.co"],
    "uri": ["https://track.example/api", "wss://track.example/api/socket"],
    "integer": ["13614234773123", "-7", "0"],
    "number": ["1.50", "-0.5", "1e9"],
    "hex": ["9a06de64", "DEADBEEF01"],
    "empty": [""],
    "null": ["null"],
    "": [
        *("Halle 7", "LynKey", "deadbeef", "9a06DE64", "1.2.3", "256.1.1.1", "2025-02-21X", "-"),
        *("00:1b-44:11:3a:b7", "a@b", "http:", "4.6.1712.0-38546f5-sBISD-hMZ", "２０", "x" * 9999),
    ],
}


@pytest.mark.parametrize(
    ("text", "form"), [(text, form) for form, texts in FORMS.items() for text in texts]
)
def test_a_text_has_the_form(text: str, form: str) -> None:
    assert form_of(text) == form


def test_what_clients_parse_by_a_pattern_is_strict() -> None:
    loose = {"integer", "number", "hex", "empty", "null", ""}
    assert {form for form in FORMS if not is_strict(form)} == loose


@settings(max_examples=examples(200))
@given(st.text() | st.text("0123456789abcdefABCDEF-:.TZ@+/ ", max_size=40))
def test_any_text_has_a_form(text: str) -> None:
    assert isinstance(form_of(text), str)


@pytest.mark.parametrize(
    "text",
    ["0" * 2047 + "x", "a." * 1000 + "@", "a@" + "b." * 1000, "a@" + "b" * 2000, "1e" * 1000],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    for _ in range(20):
        form_of(text)
    assert time.process_time() - started < 0.5
