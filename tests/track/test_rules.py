from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.errors import CannotRead, RulesError
from recorder.track.rules import Rules
from recorder.track.rules_file import load_rules
from recorder.wire.frames import close_frame
from tests.profiles import examples

REASON = "unanswered_ping_close_reason"


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    return tmp_path / "rules.toml"


def test_the_defaults_are_those_of_the_real_backend() -> None:
    rules = Rules()
    assert rules.ping_interval_ns == 30_000_000_000
    assert rules.session_timeout_ns == 86_400_000_000_000
    assert rules.close_reason == "Idle timeout expired: 30000/30000 ms"


def test_an_empty_file_gives_the_defaults(rules_file: Path) -> None:
    rules_file.write_text("")
    assert load_rules(rules_file) == Rules()


def test_a_file_changes_what_it_names_and_nothing_else(rules_file: Path) -> None:
    rules_file.write_text('ping_interval_s = 5\nsocket_key = "strict"\n')
    assert load_rules(str(rules_file)) == Rules(ping_interval_s=5, socket_key="strict")


def test_every_field_can_be_set_from_a_file(rules_file: Path) -> None:
    lines = [f"{name} = {json.dumps(getattr(Rules(), name))}" for name in Rules.__struct_fields__]
    rules_file.write_text("\n".join(lines))
    assert load_rules(rules_file) == Rules()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "ping_intervall_s = 5",
            "there is no rule 'ping_intervall_s'; did you mean 'ping_interval_s'?",
        ),
        ("x = 5", "there is no rule 'x'; expected one of session_timeout_s, "),
        ("[rules]", "there is no rule 'rules'; "),
        ("ping_interval_s = 0", "ping_interval_s = 0: expected seconds, a number from 0.001"),
        ("ping_interval_s = -1.5", "ping_interval_s = -1.5: expected seconds"),
        ("ping_interval_s = nan", "ping_interval_s = nan: expected seconds"),
        ("ping_interval_s = inf", "ping_interval_s = inf: expected seconds"),
        ("ping_interval_s = true", "ping_interval_s = True: expected seconds"),
        ('ping_interval_s = "30"', "ping_interval_s = '30': expected seconds"),
        ("session_timeout_s = 0.0", "session_timeout_s = 0.0: expected seconds"),
        ('session_timeout_shown = "always"', "expected 'open' or 'expiry' or 'never'"),
        ("session_timeout_shown = []", "expected 'open' or 'expiry' or 'never'"),
        ('unanswered_ping = "clsoe"', "unanswered_ping = 'clsoe': expected 'close' or 'ignore'"),
        ('socket_key = "Strict"', "socket_key = 'Strict': expected 'lenient' or 'strict'"),
        (
            "unanswered_ping_close_code = 1005",
            "unanswered_ping_close_code: close code 1005 must not",
        ),
        (
            "unanswered_ping_close_code = 70000",
            "unanswered_ping_close_code = 70000: expected a close",
        ),
        ("unanswered_ping_close_code = true", "expected a close code"),
        (
            f'{REASON} = "{{interval_s}}"',
            f"{REASON} = '{{interval_s}}': expected text with no field",
        ),
        (f'{REASON} = "{{"', "expected text with no field but {interval_ms}"),
        (f'{REASON} = "{{interval_ms.__class__}}"', "expected text with no field"),
        (f'{REASON} = "{"é" * 62}"', f"{REASON}: a close reason has at most 123 bytes, not 124"),
        ("status_no_session = 200", "status_no_session = 200: expected an HTTP status from 400"),
        ("status_wrong_password = 600", "status_wrong_password = 600"),
        ("status_missing_field = 400.0", "status_missing_field = 400.0"),
        ('status_json_login = "415"', "status_json_login = '415'"),
        ('cookie_name = "a b"', "cookie_name = 'a b': expected a token"),
        ('cookie_name = ""', "cookie_name = '': expected a token"),
        ("cookie_name = 1", "cookie_name = 1: expected a token"),
        ('cookie_path = "api"', "cookie_path = 'api': expected a path"),
        ('cookie_path = "/api; Secure"', "expected a path that begins with '/' and has no ';'"),
        ('cookie_path = "/a\\r\\nX: y"', "expected a path"),
        ("ping_interval_s 5", "not a TOML file: Expected '=' after a key"),
        ("a = " + "[" * 5000, "not a TOML file"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(
    rules_file: Path, line: str, expected: str
) -> None:
    rules_file.write_text(line, encoding="utf-8")
    with pytest.raises(RulesError) as caught:
        load_rules(rules_file)
    assert str(caught.value).startswith(f"{rules_file}: ")
    assert expected in str(caught.value)


def test_a_file_that_is_not_there_cannot_be_read(rules_file: Path) -> None:
    with pytest.raises(CannotRead, match="No such file"):
        load_rules(rules_file)


def test_rules_made_in_code_are_judged_by_the_same_measure() -> None:
    with pytest.raises(ValueError, match="ping_interval_s = 0: expected seconds"):
        Rules(ping_interval_s=0)


@settings(max_examples=examples(300))
@given(content=st.binary() | st.text().map(str.encode))
def test_any_bytes_give_rules_or_our_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-rules.toml"
    path.write_bytes(content)
    with contextlib.suppress(RulesError):
        load_rules(path)


@settings(max_examples=examples(500))
@given(
    interval_s=st.floats(0.001, 1e9) | st.integers(1, 10**9),
    code=st.integers(-1, 70000) | st.sampled_from([999, 1000, 1004, 1005, 1006, 1012, 1015, 3000]),
    reason=st.text(max_size=60) | st.just("{interval_ms} ms"),
)
def test_rules_that_exist_always_make_a_valid_close_frame(
    interval_s: float, code: int, reason: str
) -> None:
    try:
        rules = Rules(
            ping_interval_s=interval_s,
            unanswered_ping_close_code=code,
            unanswered_ping_close_reason=reason,
        )
    except ValueError:
        return
    assert rules.ping_interval_ns >= 1_000_000
    assert not close_frame(rules.unanswered_ping_close_code, rules.close_reason).check("server")
