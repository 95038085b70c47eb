"""Who may log in, what each may see, and the user object that a login shows (manual section 2)."""

from __future__ import annotations

import difflib
import hmac
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from fake_server.sight import Identity, Named, Sight, identity_of
from recorder.credentials import Credentials, read_user_file
from recorder.errors import CannotRead, RulesError

__all__ = ["DEMO_ACCOUNT", "Account", "Accounts", "load_accounts"]

DEMO_ACCOUNT: Final = Credentials("demo@example.com", "demo")
"""The one account of a server that was given none. Its password is no secret."""

_Ids: TypeAlias = defaultdict[str, set[Any]]
"""Of each account the ids of some objects."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Who may log in, and what they may see.

    ``devices`` and ``beacons`` name what is seen, numbers by id, texts by id, name or uniqueId;
    None is all (of beacons: those without a device, and those of the devices that are seen).
    ``user`` are fields of the user object, beside Traccar's or in their place.
    """

    credentials: Credentials
    devices: Named | None = None
    beacons: Named | None = None
    user: dict[str, Any] = {}


class Accounts:
    """The accounts of a server. Credentials alone are an account that sees everything."""

    def __init__(self, accounts: Iterable[Account | Credentials] = (DEMO_ACCOUNT,)) -> None:
        whole = [one if isinstance(one, Account) else Account(credentials=one) for one in accounts]
        self._accounts = {one.credentials.email: one for one in whole}
        self._ids = {email: number for number, email in enumerate(self._accounts, 1)}
        self._named_devices: _Ids = defaultdict(set)
        self._created_devices: _Ids = defaultdict(set)
        self._created_beacons: _Ids = defaultdict(set)
        self._sights: dict[str, Sight] = {}

    @property
    def emails(self) -> list[str]:
        """Who may log in."""
        return list(self._accounts)

    @property
    def credentials(self) -> list[Credentials]:
        """Emails and passwords, in the same order."""
        return [one.credentials for one in self._accounts.values()]

    def check(self, email: str, password: str) -> bool:
        """Whether they belong together; takes the same time whether the email exists or not."""
        account = self._accounts.get(email)
        expected = account.credentials.password if account is not None else ""
        same = hmac.compare_digest(expected.encode("utf-8"), password.encode("utf-8"))
        return same and account is not None

    def user_id(self, email: str) -> Any:
        """The id in the account's user object. Raises KeyError where there is no such account."""
        return self._accounts[email].user.get("id", self._ids[email])

    def user_json(self, email: str) -> bytes:
        """The user object: the fields of Traccar, the password never. Raises KeyError as
        :meth:`user_id` does.
        """
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
        return msgspec.json.encode(user | self._accounts[email].user)

    # Sight

    def sight(self, email: str) -> Sight:
        """What an account sees, as of now: equal values for accounts that see the same. Raises
        KeyError where there is no such account.
        """
        sight = self._sights.get(email)
        if sight is None:
            account = self._accounts[email]
            devices, beacons = account.devices, account.beacons
            device_ids: frozenset[Any] = frozenset()
            beacon_ids: frozenset[Any] = frozenset()
            if devices is not None:
                device_ids = frozenset(self._named_devices[email] | self._created_devices[email])
            if devices is not None or beacons is not None:
                beacon_ids = frozenset(self._created_beacons[email])
            sight = self._sights[email] = Sight(devices, beacons, device_ids, beacon_ids)
        return sight

    @property
    def all_see_everything(self) -> bool:
        """Whether no account is limited."""
        return all(one.devices is None and one.beacons is None for one in self._accounts.values())

    def know(self, devices: Iterable[bytes]) -> None:
        """Learn the ids of devices, raw JSON texts, that accounts name by name or uniqueId. To be
        told of all there are, before their positions come.
        """
        limited = [
            (email, account.devices)
            for email, account in self._accounts.items()
            if account.devices is not None
        ]
        if not limited:
            return
        for text in devices:
            device = identity_of(text)
            for email, named in limited:
                if device.id is not None and Sight(named).names_device(device):
                    self._add(self._named_devices, email, device)

    def names_nothing(self, devices: Iterable[bytes]) -> list[tuple[str, int | str]]:
        """The devices that accounts name and that are none of these, raw JSON texts: pairs of the
        account's email and the id, name or uniqueId.
        """
        known: set[Any] = set()
        for device in map(identity_of, devices):
            known |= {device.id, device.name, device.uniqueId}
        return [
            (email, name)
            for email, account in self._accounts.items()
            for name in sorted(account.devices or (), key=str)
            if name not in known
        ]

    def created(self, email: str, kind: str, object_text: bytes) -> None:
        """An account created a device or a beacon: it sees it from now on."""
        if kind == "devices":
            self._add(self._created_devices, email, identity_of(object_text))
            self.know([object_text])
        elif kind == "beacons":
            self._add(self._created_beacons, email, identity_of(object_text))

    def reset(self) -> None:
        """Forget what was created; the ids of named devices stay known."""
        self._created_devices.clear()
        self._created_beacons.clear()
        self._sights.clear()

    def _add(self, ids: _Ids, email: str, found: Identity) -> None:
        if found.id not in ids[email]:
            ids[email].add(found.id)
            self._sights.pop(email, None)


def load_accounts(path: Path) -> Accounts:
    """Accounts from a file: TOML if its name ends so, else the ``EMAIL=…`` and ``PASSWORD=…`` lines
    of the manual's `userdata` (section 3.6).

    The TOML has tables ``[[account]]`` with ``email``, ``password`` and, where wanted, ``devices``,
    ``beacons`` and ``user`` (see :class:`Account`). Raises CannotRead if the file cannot be opened
    and RulesError, which names the file and the account but never a password, if it is wrong.
    """
    if path.suffix.lower() != ".toml":
        whole = [Account(credentials=one) for one in read_user_file(path)]
        return _each_once(path, whole)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CannotRead(f"{path}: cannot read the accounts: {error.strerror}") from error
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        # What tomllib says shows characters of the line, which may be a password's.
        place = _PLACE_IN_TOML.search(str(error))
        where = f" {place[0]}" if place else ""
        raise RulesError(f"{path}: not a TOML file{where}") from None
    tables = table.pop("account", None)
    if table:
        raise RulesError(f"{path}: unexpected {next(iter(table))!r}; {_EXPECTED}")
    if not isinstance(tables, list) or not tables:
        raise RulesError(f"{path}: no account found; {_EXPECTED}")
    accounts = [_account(f"{path}: account {n}", one) for n, one in enumerate(tables, 1)]
    return _each_once(path, accounts)


def _each_once(path: Path, accounts: list[Account]) -> Accounts:
    seen: set[str] = set()
    for number, account in enumerate(accounts, 1):
        email = account.credentials.email
        if email in seen:
            raise RulesError(f"{path}: account {number}: a second account {email!r}")
        seen.add(email)
    return Accounts(accounts)


_Fields: TypeAlias = dict[str, Any]
_EXPECTED: Final = "expected tables [[account]] with email and password"
_PLACE_IN_TOML: Final = re.compile(r"\(at [^)]*\)\Z")
_KEYS: Final = ("email", "password", "devices", "beacons", "user")


def _account(where: str, table: Any) -> Account:
    if not isinstance(table, dict):
        raise RulesError(f"{where}: {_EXPECTED}")
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(_KEYS)}"
            raise RulesError(f"{where}: there is no field {key!r}; {hint}")
    user = table.get("user", {})
    if not isinstance(user, dict):
        raise RulesError(f"{where}: user: expected a table of fields of the user object")
    if "password" in user:
        raise RulesError(f"{where}: user: the password of a user object is always null; leave it")
    return Account(
        credentials=Credentials(
            _required_text(where, table, "email"), _required_text(where, table, "password")
        ),
        devices=_named(where, table, "devices"),
        beacons=_named(where, table, "beacons"),
        user=user,
    )


def _required_text(where: str, table: _Fields, key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise RulesError(f'{where}: {key}: expected text, {key} = "…"')
    return value


def _named(where: str, table: _Fields, key: str) -> Named | None:
    if key not in table:
        return None
    value = table[key]
    if not isinstance(value, list) or not all(type(one) in (int, str) for one in value):
        raise RulesError(f"{where}: {key}: expected a list of ids (numbers) and names (texts)")
    return frozenset(value)
