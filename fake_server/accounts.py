"""Who may log in, and the user object that a login shows (manual section 2)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from recorder.credentials import Credentials

__all__ = ["DEMO_ACCOUNT", "Accounts"]

DEMO_ACCOUNT: Final = Credentials("demo@example.com", "demo")
"""The one account of a server that was given none. Its password is no secret."""


class Accounts:
    """The accounts of a server; each sees everything."""

    def __init__(self, accounts: Iterable[Credentials] = (DEMO_ACCOUNT,)) -> None:
        self._accounts = {account.email: account for account in accounts}
        self._ids = {email: number for number, email in enumerate(self._accounts, 1)}

    @property
    def emails(self) -> list[str]:
        """Who may log in."""
        return list(self._accounts)

    def check(self, email: str, password: str) -> bool:
        """Whether they belong together; takes the same time whether the email exists or not."""
        account = self._accounts.get(email)
        expected = account.password if account is not None else ""
        same = hmac.compare_digest(expected.encode("utf-8"), password.encode("utf-8"))
        return same and account is not None

    def user_json(self, email: str) -> bytes:
        """The user object: the fields of Traccar, the password never."""
        user: dict[str, Any] = {
            "id": self._ids[email],
            "attributes": {},
            "name": email.partition("@")[0],
            "login": "",
            "email": email,
            "phone": "",
            "readonly": False,
            "administrator": False,
            "map": "",
            "latitude": 0.0,
            "longitude": 0.0,
            "zoom": 0,
            "twelveHourFormat": False,
            "coordinateFormat": "",
            "disabled": False,
            "expirationTime": None,
            "deviceLimit": -1,
            "userLimit": 0,
            "deviceReadonly": False,
            "token": None,
            "limitCommands": False,
            "poiLayer": "",
            "password": None,
        }
        return msgspec.json.encode(user)
