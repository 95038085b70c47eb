"""What a backend may have said, as recordings: of made-up devices, or of the manual's objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from recorder.model import AnyEntry, Body, Entry, MessageEntry, Request, Response
from replayer.contract.checking import Report, check
from replayer.contract.learning import Learner
from replayer.contract.model import Contract, decode_contract, encode_contract
from tests.replayer.recordings import header, numbered

MANUAL = sorted((Path(__file__).parents[3] / "fixtures" / "manual").glob("*.json"))
STATUSES = ("online", "offline", "unknown")
PING = {"message": "", "type": "PING", "localeKey": None, "localeValues": None}


class Said(msgspec.Struct):
    """One message or answer: ``where`` as a report has it, and its objects."""

    where: str
    objects: list[Any]


def entries_of(said: Iterable[Said]) -> list[Entry]:
    """The messages and REST calls as entries."""
    return numbered(entry for each in said for entry in _entries(each))


def _entries(said: Said) -> Iterator[Entry]:
    if " " not in said.where:
        text = json.dumps({said.where: said.objects})
        yield MessageEntry(connection=2, sender="server", opcode="text", offset_ns=0, text=text)
        return
    method, target, status = said.where.split(" ")
    kind = [("Content-Type", "application/json")]
    yield Request(offset_ns=0, connection=1, exchange=1, method=method, target=target, headers=[])
    yield Response(offset_ns=0, connection=1, exchange=1, status=int(status), headers=kind)
    yield Body(
        offset_ns=0,
        connection=1,
        exchange=1,
        sender="server",
        last=True,
        text=json.dumps(said.objects),
    )


def learnt(*recordings: Iterable[AnyEntry]) -> Contract:
    """The contract of these recordings, as it comes from its file."""
    learner = Learner()
    for entries in recordings:
        learner.learn(header(), entries)
    return decode_contract(encode_contract(learner.contract("test")), "contract.json")


def checked(contract: Contract, said: Iterable[Said]) -> Report:
    return check(contract, header(), entries_of(said))


def device(number: int, zone: str) -> dict[str, Any]:
    return {
        "id": 44969282 + number,
        "name": f"LynKey {number}",
        "attributes": {"uuid": f"9a06de64642b4441b377b63c2d5cd8{number % 100:02}"},
        "uniqueId": str(13614234773123 + number),
        "status": STATUSES[number % 3],
        "lastUpdate": f"2020-02-26T16:05:{number % 60:02}.469{zone}",
        "geofences": [number % 4, 7],
        "phone": "",
        "category": None,
        "disabled": False,
    }


def position(number: int, of: int, zone: str) -> dict[str, Any]:
    made = {
        "id": 75864142 + number,
        "name": None,
        "attributes": {
            "batteryLevel": 100.0 - number % 9,
            "floor": str(number % 4),
            "motion": number % 2 == 0,
            "near": {"rssi": -40 - number % 30, "seenAt": f"2020-02-26T16:05:26.176{zone}"},
        },
        "protocol": "osmand",
        "fixTime": f"2020-02-26T16:{number % 60:02}:26.176{zone}",
        "valid": True,
        "latitude": 49.897595543798104 + number / 1000,
        "accuracy": None if number % 3 == 0 else 1.5,
        "deviceId": 44969282 + number % of,
    }
    if number % 4 == 0:
        made["attributes"]["activationLevel"] = 0.5
    return made


def fleet(devices: int, *, zone: str = "+0000", rounds: int = 3) -> list[Said]:
    """All devices once, then again and again one of them and its position, PINGs, and REST."""
    said = [Said("devices", [device(number, zone) for number in range(devices)])]
    for number in range(devices * rounds):
        said.append(Said("devices", [device(number % devices, zone)]))
        said.append(Said("positions", [position(number, devices, zone)]))
        if number % 3 == 0:
            uuid = f"a0b34365-908f-4868-a52a-84a3ed83{number:04}"
            said.append(Said("status", [PING | {"message": uuid}]))
    for _ in range(rounds - 1):
        objects = [device(number, zone) for number in range(devices)]
        said.append(Said("GET /api/devices 200", objects))
    return said


def manual(path: Path, times: int = 24) -> list[Said]:
    """The manual's objects of one page, again and again: one object, so all fields are required."""
    text = json.loads(path.read_bytes())
    if isinstance(text, dict) and isinstance(text.get("id"), int):
        text = [text]
    if isinstance(text, list):
        name = path.name.split("-")[1]
        return [Said(f"GET /api/{name} 200", text) for _ in range(times)]
    ((kind, objects),) = text.items()
    return [Said(kind, objects) for _ in range(times)]


recordings = st.one_of(
    st.builds(
        fleet,
        st.integers(12, 15),
        zone=st.sampled_from(["+0000", "+00:00", "Z"]),
    ),
    st.sampled_from(MANUAL).map(manual),
)
"""What was said, often enough to be compared."""


def changed(
    said: list[Said],
    where: str,
    place: tuple[str, ...],
    change: Callable[[Any], Any],
    *,
    some: bool,
) -> list[Said]:
    """A copy in which the value at a place of the objects is another: in all objects, or in every
    second of each device. ``change`` takes the object that holds the value, and changes it."""
    copied = [Said(each.where, json.loads(json.dumps(each.objects))) for each in said]
    visits: dict[Any, int] = {}
    for each in copied:
        if each.where != where:
            continue
        for found in each.objects:
            whose = found.get("deviceId", found.get("id"))
            visits[whose] = visits.get(whose, 0) + 1
            if some and visits[whose] % 2:
                continue
            holder = found
            for name in place[:-1]:
                holder = holder[name]
            change(holder)
    return copied


def places(said: list[Said]) -> list[tuple[str, tuple[str, ...], list[Any]]]:
    """Every field that each of the objects has: where, its path, and all its values."""
    objects: dict[str, list[Any]] = {}
    for each in said:
        objects.setdefault(each.where, []).extend(each.objects)
    return [
        (where, path, values)
        for where, holders in objects.items()
        for path, values in _fields(holders)
    ]


def _fields(holders: list[Any]) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    for name in holders[0]:
        if not all(name in each for each in holders):
            continue
        values = [each[name] for each in holders]
        yield (name,), values
        if all(isinstance(value, dict) for value in values):
            for path, below in _fields(values):
                yield (name, *path), below


def pointer(where: str, path: tuple[str, ...]) -> str:
    """The place as a report has it."""
    root = "/*" if " " in where else f"/{where}/*"
    return "/".join([root, *path])
