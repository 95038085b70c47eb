"""Profile `share` over whole recordings: no value is left, and what joined joins."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.model import (
    AnyEntry,
    Body,
    Closed,
    End,
    FrameEntry,
    Header,
    Note,
    Open,
    Redaction,
    Request,
    Response,
    encode_bytes,
)
from recorder.recording import Reader, Writer
from recorder.redact import redact_recording
from recorder.redaction.options import RedactionOptions
from recorder.redaction.share import RedactionKey
from recorder.wire.frames import Frame, close_frame
from recorder.wire.json_texts import JsonText, split
from tests.profiles import examples
from tests.redaction.share_support import KEY, OTHER_KEY, distance_m

SHARE = RedactionOptions("share", KEY)
HEADER = Header(
    id="7d5f", started_at="2026-11-22T17:00:00.000000000Z", tool="tests", mode="capture",
    upstream="https://track.example.com", fidelity="wire", timing="measured",
    redaction=Redaction(profile="none"),
)  # fmt: skip


class Fleet(NamedTuple):
    """Devices, each with a beacon and a place, and a user."""

    devices: list[dict[str, Any]]
    beacons: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    user: dict[str, Any]


# Made of what nothing else in the traffic holds, so that any trace of it is one.
_alphabet = "QXZqxzßÜ019 '&/~\"\\-"
names = st.text(st.sampled_from(_alphabet), min_size=3, max_size=12).map(
    lambda text: " ".join(f"Wq{text}7k".split())
)
hexes = st.text("0123456789abcdef", min_size=32, max_size=32).map(lambda text: f"a{text[1:]}")
macs = st.binary(min_size=6, max_size=6).map(lambda data: data.hex(":").upper())
numbers = st.integers(10**13, 10**14 - 1).map(str)
phones = st.integers(10**9, 10**10 - 1).map(lambda n: f"+49 {n}")
coordinates = st.tuples(
    st.integers(40_123_456, 60_123_456), st.integers(-179_654_321, -105_654_321)
).map(lambda p: (f"{p[0] / 1e6:.6f}", f"{p[1] / 1e6:.6f}"))


@st.composite
def fleets(draw: Any) -> Fleet:
    count = draw(st.integers(1, 3))
    unique = {"min_size": count, "max_size": count, "unique": True}
    devices, beacons, positions = [], [], []
    rows = zip(
        draw(st.lists(names, min_size=2 * count, max_size=2 * count, unique=True)),
        draw(st.lists(numbers, **unique)),
        draw(st.lists(hexes, **unique)),
        draw(st.lists(macs, **unique)),
        draw(st.lists(phones, **unique)),
        draw(st.lists(coordinates, **unique)),
        strict=False,
    )
    for number, (name, unique_id, uuid, mac, phone, place) in enumerate(rows, 1):
        beacon = f"Beacon of {name}"
        devices.append(
            {"id": number, "name": name, "uniqueId": unique_id, "phone": phone, "model": "",
             "contact": f"Mr {name}", "attributes": {"uuid": uuid, "mac": mac},
             "positionId": number}
        )  # fmt: skip
        beacons.append(
            {"id": number, "name": beacon, "uuid": uuid, "major": 1, "minor": number, "mac": mac}
        )
        positions.append(
            {"id": number, "deviceId": number, "deviceName": name, "beaconUuid": uuid.upper(),
             "beaconName": beacon, "latitude": place[0], "longitude": place[1],
             "attributes": {"deviceUniqueId": unique_id}, "address": f"Street of {name}"}
        )  # fmt: skip
    user = {"id": 1, "name": devices[0]["name"] + "9", "phone": devices[0]["phone"] + "1"}
    return Fleet(devices, beacons, positions, user)


def frames(payload: bytes, cuts: list[int]) -> list[Frame]:
    bounds = [0, *sorted(cut % (len(payload) + 1) for cut in cuts), len(payload)]
    pieces = [payload[a:b] for a, b in itertools.pairwise(bounds)]
    return [
        Frame.make(0 if i else 1, piece, fin=i == len(pieces) - 1) for i, piece in enumerate(pieces)
    ]


def as_numbers(text: str) -> str:
    """Latitudes and longitudes as numbers of JSON, in their spelling."""
    value = json.loads(text)
    for one in value.get("positions", ()):
        for name in ("latitude", "longitude"):
            text = text.replace(f'"{one[name]}"', one[name])
    return text


@st.composite
def recordings(draw: Any, fleet: Fleet) -> list[AnyEntry]:
    """Traffic of a fleet: what is told of it stands in every place that can hold it."""
    ascii_only = draw(st.booleans())

    def text_of(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, indent=draw(st.sampled_from([None, 1])))

    one = draw(st.sampled_from(fleet.devices))
    position = draw(st.sampled_from(fleet.positions))
    place = f"{position['latitude']} {position['longitude']}"
    texts = [
        text_of({"devices": fleet.devices}),
        as_numbers(text_of({"positions": fleet.positions})),
        text_of({"beacons": fleet.beacons}) + "~" + text_of({"log": text_of({"user": fleet.user})}),
        text_of(
            {"geofences": [{"id": 1, "name": fleet.user["name"], "area": f"CIRCLE ({place}, 5)"}]}
        ),
        text_of(
            {"events": [{"type": "alarm", "message": f"lost {one['name']} ({one['uniqueId']})"}]}
        ),
    ]
    form = f"uniqueId={one['uniqueId']}&name={quote_plus(one['name'])}&phone={quote(one['phone'])}"
    body = gzip.compress(texts[0].encode())
    entries: list[AnyEntry] = [
        Note(offset_ns=1, text=f"{one['name']} and {one['uniqueId']} of {one['contact']}: {place}"),
        Open(offset_ns=2, connection=1, leg="client", peer="10.0.0.1:1"),
        Request(
            offset_ns=3, connection=1, exchange=1, method="POST",
            target=f"/api/devices?uniqueId={one['uniqueId']}&name={quote(one['name'], safe='')}"
            f"&lat={position['latitude']}&lon={position['longitude']}",
            headers=[("Content-Type", "application/x-www-form-urlencoded"),
                     ("X-Device", one["attributes"]["mac"])],
        ),
        Body(offset_ns=4, connection=1, exchange=1, sender="client", last=True, text=form),
        Response(
            offset_ns=5, connection=1, exchange=1, status=200,
            headers=[("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
        ),
        Body(
            offset_ns=6, connection=1, exchange=1, sender="server", last=True, **encode_bytes(body)
        ),
    ]  # fmt: skip
    cuts = st.lists(st.integers(0, 10**6), max_size=3)
    payloads = [*draw(st.permutations(texts)), f"pong {one['attributes']['uuid']}"]
    for text in payloads:
        for frame in frames(text.encode(), draw(cuts)):
            entries.append(FrameEntry.of(frame, connection=1, sender="server", offset_ns=7))
    why = close_frame(1001, f"bye {one['uniqueId']}")
    entries.append(FrameEntry.of(why, connection=1, sender="server", offset_ns=8))
    entries.append(
        Closed(offset_ns=9, connection=1, by="server", how="eof", detail=f"{one['name']} gone")
    )
    return entries


def write(path: Path, entries: list[AnyEntry], header: Header = HEADER) -> Path:
    with Writer.create(path, header) as writer:
        for entry in entries:
            writer.write(entry)
    return path


def read(path: Path) -> list[AnyEntry]:
    with Reader(path) as reader:
        return list(reader)


def messages(entries: list[AnyEntry]) -> list[Any]:
    """The JSON texts of the frames."""
    joined = b"".join(
        entry.data + (b"~" if entry.fin else b"")
        for entry in entries
        if isinstance(entry, FrameEntry) and entry.opcode in ("text", "continuation")
    )
    return [
        json.loads(found.data, parse_float=str)
        for found in split(joined)
        if isinstance(found, JsonText)
    ]


def all_bytes(entries: list[AnyEntry]) -> str:
    """Every text of a recording, codings undone and fragments joined."""
    texts = []
    for entry in entries:
        data = repr(entry)
        if isinstance(entry, Body) and entry.base64 is not None:
            data += gzip.decompress(base64.b64decode(entry.base64)).decode()
        texts.append(data)
    texts.append(
        b"".join(entry.data for entry in entries if isinstance(entry, FrameEntry)).decode(
            "utf-8", "replace"
        )
    )
    return "\n".join(texts)


def spellings(value: str) -> set[str]:
    found = {value, quote(value), quote(value, safe=""), quote_plus(value)}
    found |= {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    found |= {json.dumps(one)[1:-1] for one in [*found]} | {repr(value)[1:-1]}
    return found


def one_of(objects: list[Any], kind: str) -> list[dict[str, Any]]:
    return next(value[kind] for value in objects if kind in value)


@settings(max_examples=examples(25), deadline=None)
@given(st.data())
def test_no_value_is_left_and_what_joined_joins(data: st.DataObject) -> None:
    fleet = data.draw(fleets())
    entries = data.draw(recordings(fleet))
    with tempfile.TemporaryDirectory() as name:
        source = write(Path(name, "a.track.jsonl"), entries)
        target = Path(name, "b.track.jsonl")
        redact_recording(source, target, SHARE)
        with Reader(target) as reader:
            redacted = list(reader)
            assert reader.complete
            assert reader.header.redaction == Redaction(profile="share", key_id=KEY.id)

    text = all_bytes(redacted)
    for device, beacon, position in zip(*fleet[:3], strict=True):
        values = [device[key] for key in ("name", "uniqueId", "phone", "contact")]
        values += [device["attributes"]["mac"], beacon["name"], beacon["uuid"], position["address"]]
        values += [beacon["uuid"].upper(), position["latitude"], position["longitude"]]
        for value in values:
            for spelled in spellings(value):
                at = text.find(spelled)
                assert at < 0, (value, text[max(0, at - 150) : at + 50])

    found = messages(redacted)
    devices, beacons = one_of(found, "devices"), one_of(found, "beacons")
    positions = one_of(found, "positions")
    for key in ("name", "uniqueId", "phone", "contact"):
        assert len({device[key] for device in devices}) == len(devices)
    for device, beacon, position in zip(devices, beacons, positions, strict=True):
        assert device["id"] == position["deviceId"]
        assert device["name"] == position["deviceName"]
        assert device["uniqueId"] == position["attributes"]["deviceUniqueId"]
        assert device["attributes"]["uuid"] == beacon["uuid"] == position["beaconUuid"].lower()
        assert device["attributes"]["mac"] == beacon["mac"]
        assert beacon["name"] == position["beaconName"]
    for (i, a), (j, b) in itertools.combinations(enumerate(fleet.positions), 2):
        before = distance_m((a["latitude"], a["longitude"]), (b["latitude"], b["longitude"]))
        after = distance_m(
            (positions[i]["latitude"], positions[i]["longitude"]),
            (positions[j]["latitude"], positions[j]["longitude"]),
        )
        assert after == pytest.approx(before, abs=0.4, rel=1e-9)
    # What stands outside of the objects joins with them.
    [request] = [entry for entry in redacted if isinstance(entry, Request)]
    uniques = {device["uniqueId"]: device for device in devices}
    joined = next(unique for unique in uniques if f"uniqueId={unique}&" in request.target)
    assert f"name={uniques[joined]['name']}&" in request.target
    assert uniques[joined]["attributes"]["mac"] == dict(request.headers)["X-Device"]
    [note] = [entry for entry in redacted if isinstance(entry, Note)]
    assert note.text.startswith(f"{uniques[joined]['name']} and {joined} of ")
    [form] = [e for e in redacted if isinstance(e, Body) and e.sender == "client"]
    assert form.text is not None
    assert f"uniqueId={joined}&name={uniques[joined]['name']}&phone=" in form.text


@settings(max_examples=examples(8), deadline=None)
@given(st.data())
def test_two_files_join_by_one_key_and_not_by_two(data: st.DataObject) -> None:
    fleet = data.draw(fleets())

    def names_of(key: RedactionKey, folder: Path, index: int) -> list[str]:
        source = write(folder / f"{index}.track.jsonl", data.draw(recordings(fleet)))
        target = folder / f"{index}.share.track.jsonl"
        redact_recording(source, target, RedactionOptions("share", key))
        return [device["name"] for device in one_of(messages(read(target)), "devices")]

    with tempfile.TemporaryDirectory() as name:
        one, two, three = [
            names_of(key, Path(name), index) for index, key in enumerate((KEY, KEY, OTHER_KEY))
        ]
    assert one == two
    assert not set(one) & set(three)


@settings(max_examples=examples(8), deadline=None)
@given(st.data())
def test_everything_else_stays_and_a_second_time_changes_nothing(data: st.DataObject) -> None:
    entries = data.draw(recordings(data.draw(fleets())))
    with tempfile.TemporaryDirectory() as name:
        source = write(Path(name, "a.track.jsonl"), entries)
        once, twice, secrets = [Path(name, f"{n}.track.jsonl") for n in (1, 2, 3)]
        redact_recording(source, once, SHARE)
        redact_recording(once, twice, SHARE)
        redact_recording(once, secrets, RedactionOptions("secrets"))
        before, after = read(source), read(once)
        assert twice.read_bytes() == once.read_bytes() == secrets.read_bytes()
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert (old.kind, old.seq, old.offset_ns) == (new.kind, new.seq, new.offset_ns)
        if isinstance(old, End):
            assert isinstance(new, End)
            assert sum(new.redaction.values()) > 0
    # The same objects with the same keys, numbers and lengths of lists.
    for old_text, new_text in zip(messages(before), messages(after), strict=True):
        assert shape(old_text) == shape(new_text)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value)
