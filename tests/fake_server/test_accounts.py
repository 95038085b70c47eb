"""Who may log in, and the user object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.accounts import DEMO_ACCOUNT, Account, Accounts, load_accounts
from recorder.credentials import Credentials
from recorder.errors import CannotRead, RulesError

texts = st.text(st.characters(codec="utf-8"), max_size=10)
accounts = st.lists(
    st.builds(Credentials, texts, texts), max_size=4, unique_by=lambda one: one.email
)

TRACCAR_USER = [
    "id",
    "attributes",
    "name",
    "login",
    "email",
    "phone",
    "readonly",
    "administrator",
    "map",
    "latitude",
    "longitude",
    "zoom",
    "twelveHourFormat",
    "coordinateFormat",
    "disabled",
    "expirationTime",
    "deviceLimit",
    "userLimit",
    "deviceReadonly",
    "token",
    "limitCommands",
    "poiLayer",
    "password",
]


@given(accounts, texts, texts)
def test_an_email_and_its_password_belong_together_and_no_others(
    known: list[Credentials], email: str, password: str
) -> None:
    checked = Accounts(known)
    for account in known:
        assert checked.check(account.email, account.password)
    for one in [*known, Credentials(email, password)]:
        for other in [*known, Credentials(email, password)]:
            expected = Credentials(one.email, other.password) in known
            assert checked.check(one.email, other.password) == expected


def test_an_unknown_email_is_refused_also_with_an_empty_password() -> None:
    assert not Accounts([]).check("", "")
    assert not Accounts().check("nobody@example.com", "")


def test_without_accounts_of_its_own_a_server_has_the_demo_account() -> None:
    assert Accounts().emails == [DEMO_ACCOUNT.email]
    assert Accounts().check("demo@example.com", "demo")


def test_the_emails_stand_in_their_order() -> None:
    known = [Credentials(email, "x") for email in ("b@x", "a@x", "c@x")]
    assert Accounts(known).emails == ["b@x", "a@x", "c@x"]


def test_the_user_object_has_traccars_fields_and_never_the_password() -> None:
    secret = "correct horse battery"
    checked = Accounts([Credentials("a@example.com", "x"), Credentials("jane@example.com", secret)])
    text = checked.user_json("jane@example.com")
    user = json.loads(text)
    assert set(user) == set(TRACCAR_USER)
    assert user["password"] is None
    assert user["email"] == "jane@example.com"
    assert b'"name"' in text
    assert secret.encode() not in text


def test_each_account_has_an_id_of_its_own() -> None:
    known = [Credentials(f"{number}@example.com", "x") for number in range(5)]
    ids = {json.loads(Accounts(known).user_json(one.email))["id"] for one in known}
    assert len(ids) == 5


def test_nobody_else_has_a_user_object() -> None:
    with pytest.raises(KeyError):
        Accounts().user_json("nobody@example.com")


def test_no_repr_shows_a_password() -> None:
    assert "hunter2" not in repr(Accounts([Credentials("a@example.com", "hunter2")]))


# Files

ACCOUNTS_TOML = """
[[account]]
email = "a@example.com"
password = "hunter2"

[[account]]
email = "b@example.com"
password = "hunter3"
devices = [794513675, "quickstart-guide-device-2", "661168222245"]
beacons = ["room"]
user = { id = 17, administrator = true, name = "B", own = 1.5 }
"""


def written(folder: Path, text: str | bytes, name: str = "accounts.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_toml_file_says_who_logs_in_and_sees_what(tmp_path: Path) -> None:
    known = load_accounts(written(tmp_path, ACCOUNTS_TOML))
    assert known.emails == ["a@example.com", "b@example.com"]
    assert known.check("b@example.com", "hunter3")
    assert known.sight("a@example.com").everything
    sight = known.sight("b@example.com")
    assert sight.devices == {794513675, "quickstart-guide-device-2", "661168222245"}
    assert sight.beacons == {"room"}
    assert not known.all_see_everything
    user = json.loads(known.user_json("b@example.com"))
    assert (user["id"], user["administrator"], user["name"], user["own"]) == (17, True, "B", 1.5)
    assert (user["email"], user["password"]) == ("b@example.com", None)
    assert known.user_id("b@example.com") == 17
    assert known.user_id("a@example.com") == 1


def test_another_file_is_the_manuals(tmp_path: Path) -> None:
    path = written(tmp_path, "EMAIL=a@example.com\nPASSWORD=x\n", "userdata")
    assert load_accounts(path).check("a@example.com", "x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no account found"),
        ("account = []", "no account found"),
        ("account = 5", "no account found"),
        ("[account]", "no account found"),
        ("account = [5]", "account 1: expected tables"),
        ('[[accounts]]\nemail="a"', "unexpected 'accounts'"),
        ('[[account]]\nemail="a"', "account 1: password: expected text"),
        ('[[account]]\nemail="a"\npassword=12345', "account 1: password: expected text"),
        ('[[account]]\nemail=""\npassword="hunter2"', "account 1: email: expected text"),
        (
            '[[account]]\nemail="a"\npassword="hunter2"\ndevice=[1]',
            "there is no field 'device'; did you mean 'devices'?",
        ),
        ('[[account]]\nemail="a"\npassword="hunter2"\ndevices=1', "devices: expected a list"),
        ('[[account]]\nemail="a"\npassword="hunter2"\nbeacons=[1.5]', "beacons: expected a list"),
        ('[[account]]\nemail="a"\npassword="hunter2"\ndevices=[true]', "devices: expected a list"),
        ('[[account]]\nemail="a"\npassword="hunter2"\nuser=[]', "user: expected a table"),
        (
            '[[account]]\nemail="a"\npassword="x"\nuser={password="hunter2"}',
            "the password of a user object is always null",
        ),
        (
            '[[account]]\nemail="a"\npassword="x"\n[[account]]\nemail="a"\npassword="hunter2"',
            "account 2: a second account 'a'",
        ),
        ('[[account]]\npassword="hunter2', "not a TOML file"),
        ("[[account]]\npassword=hunter2", "not a TOML file (at line 2"),
        (b'[[account]]\npassword="\xffhunter2"', "not a TOML file"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_place_and_never_with_a_password(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RulesError) as caught:
        load_accounts(path)
    assert str(caught.value).startswith(str(path))
    assert expected in str(caught.value)
    assert "hunter" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"none\.toml: cannot read the accounts: No such file"):
        load_accounts(tmp_path / "none.toml")


# Sight


def limited(*emails: str, devices: Any = ("one", 2), beacons: Any = None) -> Accounts:
    return Accounts(
        Account(
            credentials=Credentials(email, "x"),
            devices=None if devices is None else frozenset(devices),
            beacons=None if beacons is None else frozenset(beacons),
        )
        for email in emails
    )


def test_accounts_that_see_the_same_have_equal_sights() -> None:
    known = limited("a", "b")
    assert known.sight("a") == known.sight("b")
    assert known.sight("a") is known.sight("a")
    with pytest.raises(KeyError):
        known.sight("nobody")


def test_the_ids_of_devices_that_are_named_are_learned() -> None:
    known = limited("a")
    assert not known.sight("a").sees("positions", b'{"id":1,"deviceId":7}')
    known.know([b'{"id":7,"name":"one"}', b'{"id":8,"name":"other"}', b"5", b'{"name":"one"}'])
    assert known.sight("a").device_ids == {7}
    assert known.sight("a").sees("positions", b'{"id":1,"deviceId":7}')
    assert not known.sight("a").sees("positions", b'{"id":1,"deviceId":8}')
    known.reset()
    assert known.sight("a").device_ids == {7}


def test_who_creates_a_device_or_a_beacon_sees_it_until_the_reset() -> None:
    known = limited("a", "b", beacons=[])
    before = known.sight("b")
    known.created("a", "devices", b'{"id":50,"name":"new"}')
    known.created("a", "beacons", b'{"id":60}')
    known.created("a", "positions", b'{"id":70,"deviceId":8}')
    assert known.sight("a").sees("devices", b'{"id":50}')
    assert known.sight("a").sees("beacons", b'{"id":60}')
    assert not known.sight("a").sees("positions", b'{"id":70,"deviceId":8}')
    assert known.sight("b") == before
    known.reset()
    assert known.sight("a") == before


def test_who_sees_everything_goes_on_to_see_everything() -> None:
    known = limited("a", devices=None)
    known.know([b'{"id":1}'])
    known.created("a", "devices", b'{"id":50}')
    assert known.sight("a").everything
    assert known.all_see_everything


def test_a_device_that_somebody_creates_under_a_name_is_seen_by_who_names_it() -> None:
    known = limited("a", "b", devices=["new"])
    known.created("a", "devices", b'{"id":50,"name":"new"}')
    assert known.sight("b").sees("positions", b'{"id":1,"deviceId":50}')


def test_what_an_account_names_and_there_is_not_can_be_asked_for() -> None:
    jane = Account(credentials=Credentials("jane@x", "pw"), devices=frozenset({1, "Drill", "77"}))
    accounts = Accounts([jane, Credentials("all@x", "pw")])
    devices = [b'{"id":1,"name":"one"}', b'{"id":2,"name":"two","uniqueId":"77"}']
    assert accounts.names_nothing(devices) == [("jane@x", "Drill")]
