"""Which values are looked for, and which are not."""

from __future__ import annotations

import pytest

from recorder.leaks import KnownValue, Values, values_of_environment
from recorder.model import Note
from tests.leaks.support import known, look_at


@pytest.mark.parametrize(
    "name",
    [
        *("TRACK_PASSWORD", "TRACK_EMAIL", "TRACK_ANYTHING", "DB_PASSWD", "my_secret", "GH_TOKEN"),
        *("AWS_SECRET_ACCESS_KEY", "APP_CREDENTIALS", "BASIC_AUTH", "COOKIE_JAR", "SESSION_ID"),
    ],
)
def test_values_of_variables_with_telling_names_are_looked_for(name: str) -> None:
    values, left_out = values_of_environment({name: "hunter2", "PLAIN": "hunter3", "EMPTY_KEY": ""})
    assert (values, left_out) == ([KnownValue(name, "hunter2")], [])


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("TRACK_URL", "https://track.example.com:8082/api", "a URL without credentials"),
        ("SSH_AUTH_SOCK", "x-agent-socket", "desktop"),
        ("XDG_SESSION_TYPE", "wayland", "desktop"),
        ("GIT_AUTHOR_NAME", "Bob Builder", "author"),
        ("TOKEN_FILE", "/run/secrets/token", "a path"),
        ("USE_AUTH", "Required", "a common word"),
        ("TOKEN_COUNT", "1234567", "a number"),
    ],
)
def test_what_stands_in_any_recording_is_left_out_with_a_reason(
    name: str, value: str, why: str
) -> None:
    values, left_out = values_of_environment({name: value})
    assert values == []
    assert left_out[0].name == name
    assert why in left_out[0].why


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_AUTH", "postgres://bob:hunter2@db/x"),
        ("WEBHOOK_TOKEN", "https://example.com/?key=1"),
        ("PASSWORD", "12345678"),
        ("TRACK_PASSWORD", "-secret/with/slashes"),
    ],
)
def test_what_looks_harmless_and_is_not_is_looked_for(name: str, value: str) -> None:
    assert values_of_environment({name: value}) == ([KnownValue(name, value)], [])


def test_a_short_value_is_left_out_with_a_reason() -> None:
    values = Values([KnownValue("PIN", "12345"), KnownValue("X", "123456")])
    assert values.names == ["X"]
    assert [one.name for one in values.left_out] == ["PIN"]


def test_a_value_that_is_longer_than_a_line_is_found_line_by_line() -> None:
    line = "MIIEowIBAAKCAQEA7bq"
    values = known(f"-----BEGIN X-----\n{line}\n-----END X-----")
    assert len(look_at([Note(offset_ns=1, text=f"a {line} b")], values)) == 1
    assert look_at([Note(offset_ns=1, text="-----BEGIN X-----")], values) == []


def test_values_do_not_show() -> None:
    assert "hunter2" not in repr(KnownValue("X", "hunter2"))
    assert "hunter2" not in repr(known("hunter2"))
