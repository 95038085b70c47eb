"""Who logs in: the user file is read as a shell reads it, and no value is ever shown."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import rich.pretty
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recorder.credentials import Credentials, credentials_from_environment, read_user_file
from recorder.errors import CannotRead, RulesError
from tests.profiles import examples

in_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    path = tmp_path / "userdata"
    path.write_bytes(text.encode("utf-8"))
    return [(account.email, account.password) for account in read_user_file(path)]


def by_the_shell(tmp_path: Path, text: str) -> str:
    """The PASSWORD that `source ./userdata` sets."""
    path = tmp_path / "for-the-shell"
    path.write_bytes(text.encode("utf-8"))
    command = 'set -e; . "$1"; printf %s "$PASSWORD"'
    done = subprocess.run(
        ["sh", "-c", command, "sh", str(path)], capture_output=True, check=True, timeout=30
    )
    return done.stdout.decode("utf-8")


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("PASSWORD=secret", "secret"),
        ("PASSWORD='a b'", "a b"),
        ('PASSWORD="a b"', "a b"),
        ('PASSWORD="a\\"b"', 'a"b'),
        ("PASSWORD='a\"b#c'", 'a"b#c'),
        ("export PASSWORD=secret", "secret"),
        ("export PASSWORD='a b' # mine", "a b"),
        ("PASSWORD=secret # mine", "secret"),
        ("PASSWORD=a#b", "a#b"),
        ("PASSWORD=a=b", "a=b"),
        ("PASSWORD=grüße€", "grüße€"),
        ("  PASSWORD=secret  ", "secret"),
        ("PASSWORD=secret\t# mine", "secret"),
        ("export\tPASSWORD=secret", "secret"),
        ("PASSWORD=a'b'", "ab"),
        ("PASSWORD='a'#b", "a#b"),
        ('PASSWORD="a\\$b"', "a$b"),
        ("PASSWORD=a\\$b", "a$b"),
    ],
)
def test_a_password_is_read_as_a_shell_reads_it(tmp_path: Path, line: str, password: str) -> None:
    text = f"EMAIL=me@example.com\n{line}\n"
    assert by_the_shell(tmp_path, text) == password
    assert read(tmp_path, text) == [("me@example.com", password)]


@in_tmp_path
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" ")))
@example("it's")
@example('"')
@example("\\")
def test_a_value_quoted_for_the_shell_comes_back(tmp_path: Path, password: str) -> None:
    if "'" in password:
        quoted = '"' + password.replace("\\", "\\\\").replace('"', '\\"') + '"'
    else:
        quoted = shlex.quote(password) if password else "'x'"
    assert read(tmp_path, f"EMAIL='me'\nPASSWORD={quoted}\n") == [("me", password or "x")]


@pytest.mark.parametrize("value", ["$HOME", "`id`", "$(id)", "~", "*", "${X}"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_nothing_is_expanded_or_run(tmp_path: Path, value: str, quote: str) -> None:
    text = f"EMAIL=me\nPASSWORD={quote}{value}{quote}\n"
    assert read(tmp_path, text) == [("me", value)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_manuals_file_is_read(tmp_path: Path, end: str) -> None:
    text = f"EMAIL=api-user@safectory.com{end}{end}PASSWORD=secret{end}"
    assert read(tmp_path, text) == [("api-user@safectory.com", "secret")]


def test_each_email_begins_an_account(tmp_path: Path) -> None:
    text = "# two\nEMAIL=a\nPASSWORD=1\n\n  # second\nexport EMAIL=b\nexport PASSWORD='2'"
    assert read(tmp_path, text) == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("EMAIL=me\nhunter2\n", 2),
        ("EMAIL=me\n\n# x\nTOKEN=hunter2\n", 4),
        ("EMAIL=me\nPASSWORD='hunter2\n", 2),
        ('EMAIL=me\nPASSWORD="hunter2\n', 2),
        ("EMAIL=me\nPASSWORD=hunter2 more\n", 2),
        ("EMAIL=me\nPASSWORD='hunter2' more\n", 2),
        ("EMAIL=me\nPASSWORD = hunter2\n", 2),
        ("EMAIL=me\npassword=hunter2\n", 2),
        ("EMAIL=me\nPASSWORD=x\nPASSWORD=hunter2\n", 3),
        ("\nEMAIL=hunter2\n", 2),
        ("EMAIL=a\nPASSWORD=b\nEMAIL=hunter2\nEMAIL=c\nPASSWORD=d\n", 3),
        ("PASSWORD=hunter2\n", 1),
        ("EMAIL=hunter2\nPASSWORD=\n", 1),
        ("EMAIL=''\nPASSWORD=hunter2\n", 1),
    ],
)
def test_a_wrong_file_is_told_with_its_line_and_without_its_values(
    tmp_path: Path, text: str, line: int
) -> None:
    with pytest.raises(RulesError) as caught:
        read(tmp_path, text)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/userdata:{line}: ")
    assert "EMAIL" in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\n", "# only this\n"])
def test_a_file_without_an_account_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(RulesError, match="userdata: no account found"):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"nowhere: cannot read .*No such file"):
        read_user_file(tmp_path / "nowhere")
    (tmp_path / "latin").write_bytes(b"EMAIL=me\nPASSWORD=hunter2\xff\n")
    with pytest.raises(CannotRead, match=r"latin: .*not UTF-8") as caught:
        read_user_file(tmp_path / "latin")
    assert "hunter2" not in str(caught.value)


@settings(in_tmp_path, max_examples=examples(200))
@given(st.text(st.sampled_from("EMAIL=PASSWORD\n'\"# \\\tx"), max_size=40))
def test_any_file_gives_accounts_or_our_error(tmp_path: Path, text: str) -> None:
    try:
        accounts = read(tmp_path, text)
    except RulesError:
        return
    assert accounts
    assert all(email and password for email, password in accounts)


def test_the_environment_gives_an_account_if_both_are_set() -> None:
    both = {"TRACK_EMAIL": "me", "TRACK_PASSWORD": "secret"}
    assert credentials_from_environment(both) == Credentials("me", "secret")
    assert credentials_from_environment({}) is None
    for name in both:
        assert credentials_from_environment({**both, name: ""}) is None
        assert credentials_from_environment({name: "x"}) is None


def test_no_value_shows() -> None:
    account = Credentials("me@example.com", "hunter2")
    for shown in (repr(account), str(account), f"{account}", f"{[account]!r}"):
        assert "hunter2" not in shown
        assert "me@example.com" not in shown


def test_no_value_shows_in_rich() -> None:
    assert "hunter2" not in rich.pretty.pretty_repr(Credentials("me@example.com", "hunter2"))
