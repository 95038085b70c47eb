"""A long recording as a capture of a busy fleet makes it, for the benchmarks of reading.

Live updates have one object a message (manual section 3): a device, then its position. A PING every
30 seconds is answered. Each position has its own id, moment and place.
"""

from __future__ import annotations

import argparse
import random
import sys
import uuid
from pathlib import Path
from typing import Final

from recorder.model import FrameEntry, Header, Open, Redaction, Request, Response
from recorder.recording import Writer
from recorder.wire.frames import Frame, Opcode

__all__ = ["make_long_recording"]

DEVICES: Final = 200
MESSAGES_A_SECOND: Final = 50
_MASK: Final = bytes.fromhex("a1b2c3d4")

POSITION: Final = (
    '{"positions":[{"id":%d,"name":null,"attributes":{"batteryLevel":%d,"scanRssi":%d,"floor":"2",'
    '"distance":0.0,"totalDistance":0.0,"motion":false},"protocol":"osmand",'
    '"serverTime":"%s+00:00","deviceTime":"%s+00:00","fixTime":"%s+00:00","outdated":false,'
    '"valid":true,"latitude":%.6f,"longitude":%.6f,"altitude":0.0,"speed":%.1f,"course":0.0,'
    '"address":null,"accuracy":0.0,"networkId":0,"eventId":null,"deviceId":%d,"rssi":%d,'
    '"beaconId":%d,"beaconName":"beacon-%d","beaconMajor":4242,"beaconMinor":%d,'
    '"beaconUuid":"d87b32bdcc0e437a81b3383833bc5ff8","sourceDeviceId":null,'
    '"deviceName":"device-%d"}]}'
)
DEVICE: Final = (
    '{"devices":[{"id":%d,"name":"device-%d","attributes":{"uuid":"d87b32bdcc0e437a81b3383833bc5ff8",'
    '"major":"4242","minor":"%d"},"uniqueId":"6611682%05d","status":"online",'
    '"lastUpdate":"%s+00:00","geofences":[],"activeGeofences":null,"notifications":[],'
    '"positionId":%d,"phone":"","model":"","contact":"","category":"null","disabled":false,'
    '"allgeofencesenabled":false,"firstDataTime":"2026-11-20T10:05:04.882+00:00",'
    '"firmwareVersion":"4.6.1712.0-38546f5","batteryLevel":%d,"leafGroupName":null}]}'
)
PING: Final = '{"status":[{"message":"%s","type":"PING","localeKey":null,"localeValues":null}]}'


def make_long_recording(path: Path, size_bytes: int) -> int:
    """Write a complete recording of about so many bytes, uncompressed; ``.zst`` compresses it.
    Returns how many messages it has. The same size gives the same recording."""
    chance = random.Random(1)
    header = Header(
        id=str(uuid.UUID(int=7, version=4)),
        started_at="2026-11-22T17:00:00.000000000Z",
        tool="tracktape 0.1.0",
        mode="capture",
        fidelity="wire",
        timing="measured",
        redaction=Redaction(profile="none"),
    )
    step_ns = 1_000_000_000 // MESSAGES_A_SECOND
    written = count = 0
    with Writer.create(path, header, flush_interval_s=1e9, sync_interval_s=1e9) as writer:
        for entry in _opening():
            writer.write(entry)

        def say(text: str, at_ns: int, *, sender: str = "server") -> None:
            nonlocal written, count
            mask = _MASK if sender == "client" else None
            frame = Frame.make(Opcode.TEXT, text.encode(), mask=mask)
            entry = FrameEntry.of(frame, connection=1, sender=sender, offset_ns=at_ns)  # type: ignore[arg-type]
            writer.write(entry)
            written += len(text) * 21 // 20 + 130
            count += 1

        at_ns, next_ping_ns, position = 3_000_000, 30_000_000_000, 794_000_000
        for device in range(DEVICES):
            say(_device(device, position + device, 0, chance), at_ns)
        while written < size_bytes:
            at_ns += step_ns
            if at_ns >= next_ping_ns:
                one = str(uuid.UUID(int=chance.getrandbits(128), version=4))
                say(PING % one, at_ns)
                say(f"pong {one}", at_ns + 2_000_000, sender="client")
                next_ping_ns += 30_000_000_000
            device = chance.randrange(DEVICES)
            position += 1
            if position % 4 == 0:
                say(_device(device, position, at_ns, chance), at_ns + 3_000_000)
            say(_position(device, position, at_ns, chance), at_ns + 4_000_000)
    return count


def _opening() -> list[Open | Request | Response]:
    key = [("Host", "track.example"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
    asked = [
        *key,
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    accept = [("Upgrade", "websocket"), ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")]
    common = {"connection": 1, "exchange": 1}
    return [
        Open(offset_ns=0, connection=1, leg="upstream", url="wss://track.example/api/socket"),
        Request(
            offset_ns=1_000_000,
            method="GET",
            target="/api/socket",
            headers=[*asked, ("Cookie", "JSESSIONID=[redacted:cookie-1]")],
            **common,
        ),
        Response(
            offset_ns=2_000_000, status=101, reason="Switching Protocols", headers=accept, **common
        ),
    ]


def _moment(at_ns: int) -> str:
    s, rest = divmod(at_ns, 1_000_000_000)
    days, s = divmod(s + 17 * 3600, 86400)
    clock = f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}.{rest // 1_000_000:03d}"
    return f"2026-11-{22 + days % 8:02d}T{clock}"


def _position(device: int, position: int, at_ns: int, chance: random.Random) -> str:
    at = _moment(at_ns)
    beacon = chance.randrange(40)
    return POSITION % (
        position,
        chance.randrange(5, 101),
        chance.randrange(-95, -30),
        at,
        at,
        at,
        49.8975 + chance.random() / 100,
        10.8787 + chance.random() / 100,
        chance.random() * 3,
        794_500_000 + device,
        chance.randrange(-95, -30),
        1000 + beacon,
        beacon,
        beacon,
        device,
    )


def _device(device: int, position: int, at_ns: int, chance: random.Random) -> str:
    number = 794_500_000 + device
    battery = chance.randrange(5, 101)
    return DEVICE % (number, device, device, device, _moment(at_ns), position, battery)


def main() -> None:
    """``python -m tests.benchmarks.long_recording PATH MB``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path", type=Path)
    parser.add_argument("mb", type=int)
    arguments = parser.parse_args()
    print(make_long_recording(arguments.path, arguments.mb * 1_000_000), "messages")


if __name__ == "__main__":
    sys.exit(main())
