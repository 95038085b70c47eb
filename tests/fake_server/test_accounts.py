"""Who may log in, and the user object."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_server.accounts import DEMO_ACCOUNT, Accounts
from recorder.credentials import Credentials

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
