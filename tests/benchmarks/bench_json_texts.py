"""The `~` splitter beside `orjson.loads` of the same texts.

The peer gets the texts as one JSON array, for it cannot split; it builds Python values, which the
splitter does not. Both read every byte and find every text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from recorder.wire.json_texts import join, split

GOAL = 0.7


def _text(number: int, name: str, size_bytes: int) -> bytes:
    """A `positions` message like the backend's, filled up with positions to about `size_bytes`."""
    position = {
        "id": 794513912 + number,
        "name": name,
        "attributes": {"batteryLevel": 100.0, "scanRssi": -42, "motion": False},
        "protocol": "osmand",
        "serverTime": "2025-02-21T10:05:04.882+00:00",
        "deviceTime": "2025-02-21T10:05:04.882+00:00",
        "fixTime": "2025-02-21T10:02:20.172+00:00",
        "outdated": True,
        "valid": True,
        "latitude": 49.897595543798104,
        "longitude": 10.878755114972591,
        "eventId": None,
        "deviceId": 794513675,
        "rssi": -64,
        "beaconId": 794513671,
        "beaconName": "quickstart-guide-beacon-2",
        "beaconUuid": "d87b32bdcc0e437a81b3383833bc5ff8",
    }
    count = max(1, round(size_bytes / len(orjson.dumps(position))))
    return orjson.dumps({"positions": [position] * count})


def _case(name: str, texts: list[bytes]) -> dict[str, Any]:
    payload = join(texts)
    array = texts[0] if len(texts) == 1 else b"[" + b",".join(texts) + b"]"
    assert [event.data for event in split(payload)] == texts
    ours: Callable[[], Any] = lambda: split(payload)  # noqa: E731
    peer: Callable[[], Any] = lambda: orjson.loads(array)  # noqa: E731
    return {
        "name": name,
        "ours": ours,
        "peer": peer,
        "peer_name": "orjson.loads",
        "size_bytes": len(payload),
        "unit": "MB/s",
        "goal": GOAL,
    }


def cases() -> list[dict[str, Any]]:
    """One dict a case; `ours` and `peer` each take `size_bytes` a call."""
    return [
        _case("12 texts of 500 B joined by ~", [_text(n, "Halle 7", 500) for n in range(12)]),
        _case("one text of 2 kB", [_text(0, "Halle 7", 2000)]),
        _case("12 texts of 500 B with ~ in strings", [_text(n, "~A~ {~}", 500) for n in range(12)]),
    ]
