"""What redaction costs: messages through the profile ``secrets`` and through ``none``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from recorder.model import FrameEntry
from recorder.redaction import Redactor
from recorder.wire.frames import Frame

__all__ = ["cases"]

_SIZE_BYTES = 2048


def _message(extra: dict[str, Any]) -> str:
    position = {
        "id": 1000,
        "name": None,
        "attributes": {"batteryLevel": 100.0, "scanRssi": -42},
        "protocol": "osmand",
        "serverTime": "2025-02-21T10:05:04.882+00:00",
        "valid": True,
        "latitude": 0.0,
        "beaconName": "guide-beacon-2",
        "beaconUuid": "d87b32bdcc0e437a81b3383833bc5ff8",
        "deviceName": "guide-device-1",
    }
    count = (_SIZE_BYTES - len(json.dumps(extra))) // (len(json.dumps(position)) + 2)
    text = json.dumps({"positions": [position] * count} | extra)
    return text[:-1] + " " * (_SIZE_BYTES - len(text)) + "}"


def _case(name: str, text: str, learnt: int = 0) -> dict[str, Any]:
    frame = FrameEntry.of(Frame.make(1, text.encode()), connection=1, sender="server", offset_ns=1)

    def feeding(redactor: Redactor) -> Callable[[], object]:
        for number in range(learnt):
            redactor.learn("cookie", f"node0kq3v9x7w1z{number}.node0")
        return lambda: redactor.feed(frame)

    return {
        "name": name,
        "ours": feeding(Redactor()),
        "peer": feeding(Redactor("none")),
        "peer_name": "profile none",
        "size_bytes": len(text),
        "unit": "MB/s",
        "goal": None,
    }


def cases() -> list[dict[str, Any]]:
    """The cases: one call of ``ours`` or ``peer`` takes one message of ``size_bytes``."""
    return [
        _case("redact 2 kB, no secret", _message({})),
        _case("redact 2 kB, no secret, 4 values learnt", _message({}), learnt=4),
        _case("redact 2 kB, one email", _message({"contact": "bob@track.test"})),
        _case("redact 2 kB, one password", _message({"password": "hunter2"})),
    ]
