"""Generated conversations for comparisons: messages of the backend, and REST calls."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from recorder.model import Body, Closed, Entry, Open, Request, Response
from replayer.difference.comparison import Comparison, compare
from replayer.difference.ignored import Ignored
from replayer.difference.statements import Settings
from tests.replayer.recordings import frame, numbered

DATE = "2026-11-22T10:05:04.906+0000"

names = st.text("abcdefg -", min_size=1, max_size=8)
numbers = st.integers(-90, 90) | st.sampled_from([0.5, -64.25, 49.897595543798104])


@st.composite
def objects(draw: st.DrawFn, kind: str, number: int) -> dict[str, Any]:
    """One device or position, with an id of its own."""
    made: dict[str, Any] = {"id": 100 + number, "name": draw(names)}
    if kind == "positions":
        made |= {
            "deviceId": draw(st.integers(1, 3)),
            "fixTime": DATE,
            "latitude": draw(numbers),
            "attributes": {"batteryLevel": draw(numbers), "motion": draw(st.booleans())},
            "network": None,
        }
    else:
        made |= {"lastUpdate": DATE, "geofenceIds": draw(st.lists(st.integers(1, 9), max_size=2))}
    return made


@st.composite
def messages(draw: st.DrawFn, *, least: int = 0, most: int = 12) -> list[dict[str, Any]]:
    """Messages that all differ, each of one to three objects with ids that no other has."""
    made = []
    number = 0
    for _ in range(draw(st.integers(least, most))):
        kind = draw(st.sampled_from(["devices", "positions"]))
        count = draw(st.integers(1, 3))
        made.append({kind: [draw(objects(kind, number + at)) for at in range(count)]})
        number += count
    return made


def said(messages: Iterable[Any], *, after: Sequence[Entry] = ()) -> list[Entry]:
    """A recording in which the backend says these, each after the entries of ``after``."""
    entries: list[Entry] = []
    for at, message in enumerate(messages):
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        entries += [*after, frame("server", payload, at=at)]
    return numbered(entries)


def compared(a: Iterable[Any], b: Iterable[Any], *ignored: str, **settings: Any) -> Comparison:
    """What a comparison says of two lists of messages, or of entries."""
    sides = [
        list(side) if side and isinstance(next(iter(side)), Entry) else said(side)
        for side in (list(a), list(b))
    ]
    return compare(*sides, Settings(ignored=Ignored(ignored), **settings))


def lines_of(comparison: Comparison) -> set[tuple[Any, ...]]:
    """What differs, without where it stands: what, pointer and both values."""
    return {
        (
            each.what,
            each.change.pointer,
            None if each.change.a is None else bytes(each.change.a),
            None if each.change.b is None else bytes(each.change.b),
            each.count,
        )
        for each in comparison.changes
    } | {(group.side, group.kind, group.count) for group in comparison.one_sided}


def mirrored(lines: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """The same, with the sides swapped."""
    swap = {"a": "b", "b": "a", "added": "removed", "removed": "added", "changed": "changed"}
    return {
        (swap[line[0]], line[1], line[3], line[2], line[4])
        if len(line) == 5
        else (swap[line[0]], *line[1:])
        for line in lines
    }


def leaves(value: Any, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where the values are that are no objects and no arrays."""
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in leaves(each, (*place, key))]
    if isinstance(value, list):
        return [found for at, each in enumerate(value) for found in leaves(each, (*place, at))]
    return [place]


def put(message: Any, place: Sequence[str | int], value: Any) -> Any:
    """A copy of the message with another value there."""
    copied = copy.deepcopy(message)
    holder = copied
    for token in place[:-1]:
        holder = holder[token]
    holder[place[-1]] = value
    return copied


def value_at(message: Any, place: Sequence[str | int]) -> Any:
    """What stands there."""
    for token in place:
        message = message[token]
    return message


def call(
    target: str,
    answer: bytes = b"[]",
    *,
    method: str = "GET",
    status: int = 200,
    connection: int = 9,
    asked: bytes = b"",
    asked_type: str = "application/json",
) -> list[Entry]:
    """A REST call on a connection of its own."""
    common: dict[str, Any] = {"connection": connection, "offset_ns": 0}
    made: list[Entry] = [
        Open(leg="upstream", **common),
        Request(
            exchange=1,
            method=method,
            target=target,
            headers=[("Content-Type", asked_type), ("Cookie", "JSESSIONID=node0abc.node0")],
            **common,
        ),
    ]
    if asked:
        made.append(Body(exchange=1, sender="client", last=True, text=asked.decode(), **common))
    made += [
        Response(
            exchange=1, status=status, headers=[("Content-Type", "application/json")], **common
        ),
        Body(exchange=1, sender="server", last=True, text=answer.decode(), **common),
        Closed(by="client", how="eof", **common),
    ]
    return made
