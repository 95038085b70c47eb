"""Small recordings for the tests of this folder, and how to run a command on them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from recorder.model import (
    Body,
    Bytes,
    Closed,
    Entry,
    FrameEntry,
    Header,
    MessageEntry,
    Note,
    Open,
    Redaction,
    Request,
    Response,
    Sender,
)
from recorder.recording import Writer
from recorder.wire.frames import Frame, Opcode, close_frame

MASK = bytes.fromhex("a1b2c3d4")
PING = b'{"status":[{"message":"%s","type":"PING","localeKey":null,"localeValues":null}]}'
UUID_1 = "a0b34365-908f-4868-a52a-84a3ed83bd59"
UUID_2 = "0d7c6a3e-2a83-4a3e-9a2f-3b1d0c9e7f11"


def header(**changes: object) -> Header:
    fields = {
        "id": "7d6ad6a4-5d9b-4a57-8d7e-0a5b7d2c6f10",
        "started_at": "2026-11-22T17:00:00.123456789Z",
        "tool": "tracktape 0.1.0",
        "mode": "capture",
        "upstream": "https://track.example",
        "fidelity": "wire",
        "timing": "measured",
        "redaction": Redaction(profile="secrets"),
    }
    return Header(**(fields | changes))


def ms(at: float) -> int:
    return round(at * 1_000_000)


def ping(uuid: str) -> bytes:
    return PING % uuid.encode()


def frame(
    sender: Sender,
    payload: bytes,
    *,
    at: float | None = 0,
    opcode: int = Opcode.TEXT,
    fin: bool = True,
    connection: int = 1,
    redacted: bool = False,
) -> FrameEntry:
    """A frame as its role sends it: the client's masked."""
    made = Frame.make(opcode, payload, fin=fin, mask=MASK if sender == "client" else None)
    return entry_of(made, sender, at=at, connection=connection, redacted=redacted)


def entry_of(
    made: Frame,
    sender: Sender,
    *,
    at: float | None = 0,
    connection: int = 1,
    redacted: bool = False,
) -> FrameEntry:
    return FrameEntry.of(
        made,
        connection=connection,
        sender=sender,
        offset_ns=None if at is None else ms(at),
        redacted=redacted,
    )


def numbered(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with the seq that a writer would give them."""
    return [msgspec.structs.replace(entry, seq=seq) for seq, entry in enumerate(entries, 1)]


def write(
    path: Path,
    entries: Iterable[Entry],
    *,
    redaction: dict[str, int] | None = None,
    **of_header: object,
) -> Path:
    """A complete recording."""
    writer = Writer.create(path, header(**of_header))
    for entry in entries:
        writer.write(entry)
    writer.close(redaction or {})
    return path


def run(*arguments: object, input_bytes: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """`track-replayer` as a process of its own."""
    code = "import sys; from replayer.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, input=input_bytes, capture_output=True, check=False, timeout=60)


DEVICES = (
    b'{"devices":[{"id":44969282,"name":"Halle ~7","uniqueId":"13614234773123"},'
    b'{"id":794513675,"name":"quickstart-guide-device-1","positionId":794513912}]}'
)
POSITION = (
    b'{"positions":[{"id":794513912,"deviceId":794513675,"latitude":0,"longitude":0,"rssi":-64,'
    b'"beaconId":794513671,"beaconName":"quickstart-guide-beacon-2",'
    b'"deviceName":"quickstart-guide-device-1"}]}'
)
NAMELESS_POSITION = (
    b'{"positions":[{"id":7,"deviceId":44969282,"latitude":49.897595543798104,'
    b'"longitude":10.878755114972591,"rssi":204}]}'
)
EVIL = b'{"devices":[{"id":1,"name":"\\u001b[31mred\\u202e\\u009b2J"}]}'


def session() -> list[Entry]:
    """A login that fails, one that holds, a socket with a bit of everything, and its end."""
    upgrade = [("Host", "track.example"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    server, client = "server", "client"
    return [
        Open(
            offset_ns=0,
            connection=1,
            leg="upstream",
            url="https://track.example/api/session",
            tls="TLSv1.3",
        ),
        Request(
            offset_ns=ms(1),
            connection=1,
            exchange=1,
            method="POST",
            target="/api/session",
            headers=[],
        ),
        Body(
            offset_ns=ms(1),
            connection=1,
            exchange=1,
            sender=client,
            last=True,
            text="email=[redacted]",
            redacted=True,
        ),
        Response(
            offset_ns=ms(31),
            connection=1,
            exchange=1,
            status=401,
            reason="Unauthorized",
            headers=[],
        ),
        Request(
            offset_ns=ms(40),
            connection=1,
            exchange=2,
            method="POST",
            target="/api/session",
            headers=[],
        ),
        Response(offset_ns=ms(82), connection=1, exchange=2, status=200, reason="OK", headers=[]),
        Closed(offset_ns=ms(90), connection=1, by="client", how="eof"),
        Open(offset_ns=ms(90), connection=2, leg="upstream", url="wss://track.example/api/socket"),
        Request(
            offset_ns=ms(91),
            connection=2,
            exchange=1,
            method="GET",
            target="/api/socket",
            headers=upgrade,
        ),
        Response(
            offset_ns=ms(100),
            connection=2,
            exchange=1,
            status=101,
            reason="Switching Protocols",
            headers=upgrade,
        ),
        frame(server, b'{"webSessionTimeout":[86400]}', at=101, connection=2),
        frame(server, DEVICES[:40], at=102, connection=2, fin=False),
        frame(server, b"alive", at=102, connection=2, opcode=Opcode.PING),
        frame(server, DEVICES[40:], at=103, connection=2, opcode=Opcode.CONTINUATION),
        frame(client, b"alive", at=103.5, connection=2, opcode=Opcode.PONG),
        frame(server, POSITION, at=1200, connection=2),
        frame(server, NAMELESS_POSITION, at=1300, connection=2),
        frame(server, EVIL, at=1301, connection=2),
        Note(offset_ns=ms(2000), text="pressed reload here"),
        frame(server, ping(UUID_1), at=30_100, connection=2),
        frame(client, f"pong {UUID_1}".encode(), at=30_142, connection=2),
        frame(server, ping(UUID_2), at=60_100, connection=2),
        frame(client, f"Pong {UUID_2}".encode(), at=60_130, connection=2),
        frame(server, b'{"devices":[]}~{"future":[1]}', at=60_200, connection=2),
        frame(server, b"\x00\xff\x10", at=60_201, connection=2, opcode=Opcode.BINARY),
        frame(client, b"hello", at=60_300, connection=2),
        entry_of(close_frame(1001, "going away"), server, at=93_000, connection=2),
        Bytes(
            offset_ns=ms(93_001),
            connection=2,
            sender=server,
            why="the stream ended inside a frame header",
            base64="gQ==",
        ),
        Closed(offset_ns=ms(93_002), connection=2, by="server", how="eof", detail="close 1001"),
    ]


payloads = st.binary(max_size=300) | st.text(max_size=100).map(str.encode)


@st.composite
def data_messages(draw: st.DrawFn) -> list[tuple[int, bytes]]:
    """Opcode and payload of some messages; text is UTF-8."""
    text = st.tuples(st.just(int(Opcode.TEXT)), st.text(max_size=60).map(str.encode))
    binary = st.tuples(st.just(int(Opcode.BINARY)), st.binary(max_size=200))
    return draw(st.lists(text | binary, max_size=6))


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Any frame that the wire can hold, allowed or not."""
    payload = draw(payloads)
    forms = [8, 2] if len(payload) > 125 else [None, 2, 8]
    return Frame.make(
        draw(st.integers(0, 15)),
        payload,
        fin=draw(st.booleans()),
        mask=draw(st.none() | st.binary(min_size=4, max_size=4)),
        rsv=draw(st.integers(0, 7)),
        length_bytes=draw(st.sampled_from(forms)),
    )


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    places = [0, *sorted(at), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(places)]


def message(sender: Sender, payload: bytes, *, at: float | None = 0) -> MessageEntry:
    """A message of a recording whose frames were never seen."""
    offset_ns = None if at is None else ms(at)
    return MessageEntry(
        connection=1, sender=sender, opcode="text", offset_ns=offset_ns, text=payload.decode()
    )
