"""What redaction costs: messages through the profile ``secrets`` and through ``none``."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

from recorder.model import FrameEntry
from recorder.redaction import Redactor
from recorder.wire.frames import Frame

__all__ = ["cases"]

_SIZE_BYTES = 2048
_SMALL_BYTES = 330
_BIG_BYTES = 64 * 1024
_SEED = 1

_LEARNT = {
    "password": "correct horse battery",
    "email": "api-user@track.test",
    "cookie": "node0kq3v9x7w1z12.node0",
}
"""What a login teaches."""

_HOSTILE = {
    "names": "token=",
    "quotes": '"password":"',
    "backslashes": "\\",
    "percent escapes": "%25",
    "addresses": "a1@b.example,",
    "brackets": '"token":[',
}


def _message(extra: dict[str, Any], size_bytes: int = _SIZE_BYTES, name: str = "guide") -> str:
    position = {
        "id": 1000,
        "name": None,
        "attributes": {"batteryLevel": 100.0, "scanRssi": -42},
        "protocol": "osmand",
        "serverTime": "2025-02-21T10:05:04.882+00:00",
        "valid": True,
        "latitude": 0.0,
        "beaconName": f"{name}-beacon-2",
        "beaconUuid": "d87b32bdcc0e437a81b3383833bc5ff8",
        "deviceName": f"{name}-device-1",
    }
    count = (size_bytes - len(_compact(extra))) // (len(_compact(position)) + 1)
    text = _compact({"positions": [position] * count} | extra)
    return text[:-1] + " " * (size_bytes - len(text)) + "}"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _case(name: str, *payloads: str | bytes, learnt: bool = True) -> dict[str, Any]:
    """A case whose calls take the messages in turn."""
    entries = [
        FrameEntry.of(
            Frame.make(1, payload.encode() if isinstance(payload, str) else payload),
            connection=1,
            sender="server",
            offset_ns=1,
        )
        for payload in payloads
    ]

    def feeding(redactor: Redactor) -> Callable[[], object]:
        for rule, value in _LEARNT.items() if learnt else ():
            redactor.learn(rule, value)
        frames = itertools.cycle(entries)
        return lambda: redactor.feed(next(frames))

    return {
        "name": name,
        "ours": feeding(Redactor()),
        "peer": feeding(Redactor("none")),
        "peer_name": "profile none",
        "size_bytes": len(payloads[0]),
        "unit": "MB/s",
        "goal": None,
    }


def cases() -> list[dict[str, Any]]:
    """The cases: one call of ``ours`` or ``peer`` takes one message of ``size_bytes``."""
    chance = random.Random(_SEED)
    letters = "abcdefghijklmnopqrstuvwxyz"
    # So many that none is remembered by the time it comes again.
    unlike = [_message({}, name="".join(chance.choices(letters, k=8))) for _ in range(5000)]
    device = {"devices": [{"id": 1, "name": "guide", "lastAsnCookie": None, "phone": ""}]}
    return [
        _case("redact 2 kB, no secret, nothing learnt", _message({}), learnt=False),
        _case("redact 2 kB, no secret", _message({})),
        _case("redact 330 B, no secret", _message({}, _SMALL_BYTES)),
        _case("redact 2 kB, no secret, each unlike the others", *unlike),
        _case("redact 2 kB with a device", _message(device)),
        _case("redact 2 kB, JSON in a JSON string", _compact({"log": _message({})})),
        _case("redact 2 kB, one email", _message({"contact": "bob@track.test"})),
        _case("redact 2 kB, one password", _message({"password": "hunter2"})),
        _case("redact 64 kB of random bytes", chance.randbytes(_BIG_BYTES)),
        *(
            _case(f"redact {_BIG_BYTES // 1024} kB of {name}", piece * (_BIG_BYTES // len(piece)))
            for name, piece in _HOSTILE.items()
        ),
    ]
