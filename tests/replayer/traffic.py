"""Generated traffic of several clients, and what a recorder makes of it: proxied, or in parts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from recorder.checkpoint import SoFar
from recorder.model import (
    AnyEntry,
    Body,
    Clock,
    Closed,
    FrameEntry,
    Note,
    Open,
    Request,
    Response,
    UnknownEntry,
)
from recorder.recording import Writer
from recorder.recording.parts import find_parts
from recorder.recording.series import Rotation, Series
from recorder.wire.frames import Frame, Opcode, close_frame
from tests.recording.files import NoSync
from tests.replayer.recordings import MASK, header, ping

WALL = "2026-11-22T17:00:00.123456789Z"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPSTREAM = 100
"""Between the numbers of a proxied connection's two legs."""
_POLITE_S = 20

_STEPS = (
    *("open", "login", "get", "upgrade", "answer", "close"),
    *("say", "say", "say", "begin", "go_on", "ping", "ping", "pong", "pong", "pong_begin"),
    *("control", "bye", "note", "clock", "unknown"),
)
_RUDE_STEPS = (*_STEPS, "wrong_pong", "wrong_pong", "chatter")

_MESSAGES = (
    b'{"devices":[{"id":%d,"name":"one %d","speed":100.0}]}',
    b'{"positions":[{"id":1%d,"deviceId":%d,"rssi":-64}]}',
    b'{"beacons":[{"id":%d,"name":"room","n":%d}]}',
    b'{"events":[{"id":%d,"type":"x%d"}]}',
    b'{"devices":[{"id":%d}]}~{"positions":[{"id":2%d,"deviceId":3}]}',
)


class _Client:
    """One connection, as the traffic on it goes."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_open = False
        self.is_socket = False
        self.said_bye = False
        self.asked: Request | None = None
        self.rest: dict[str, bytes] = {}
        self.pings: dict[str, int] = {}


class _Traffic:
    """Turns steps into the entries that a recorder would make; what cannot be done is left out."""

    def __init__(self, leg: str) -> None:
        self.leg = leg
        self.entries: list[AnyEntry] = []
        self.now_ns = 0
        self.clients = {number: _Client(number) for number in (1, 2, 3)}
        self.exchanges = 0
        self.cookie = "none"
        self.uuids = 0

    def add(self, kind: Any, **fields: Any) -> Any:
        entry = kind(offset_ns=self.now_ns, **fields)
        self.entries.append(entry)
        return entry

    def frame(self, client: _Client, sender: str, frame: Frame) -> None:
        self.entries.append(
            FrameEntry.of(frame, connection=client.number, sender=sender, offset_ns=self.now_ns)
        )

    def text(self, client: _Client, sender: str, data: bytes, *, fin: bool = True) -> None:
        """A text, or its next fragment; what is left of it is remembered."""
        begun = sender in client.rest
        opcode = Opcode.CONTINUATION if begun else Opcode.TEXT
        mask = MASK if sender == "client" else None
        self.frame(client, sender, Frame.make(opcode, data, fin=fin, mask=mask))

    def message(self, client: _Client, sender: str, data: bytes) -> None:
        """A whole message, behind the rest of one that was begun."""
        self.end_message(client, sender)
        self.text(client, sender, data)

    def end_message(self, client: _Client, sender: str) -> None:
        if sender in client.rest:
            self.text(client, sender, client.rest[sender])
            del client.rest[sender]

    def begin_message(self, client: _Client, sender: str, data: bytes, size: int) -> None:
        self.end_message(client, sender)
        self.text(client, sender, data[:size], fin=False)
        client.rest[sender] = data[size:]

    def step(self, what: str, number: int, value: int, step_ns: int) -> None:
        self.now_ns += step_ns
        for client in self.clients.values():
            self.keep_polite(client)
        client = self.clients[number]
        if what in ("note", "clock", "unknown"):
            getattr(self, what)()
        elif what == "open":
            self.open(client)
        elif client.is_open and what == "close":
            self.close(client, value)
        elif client.is_open and not client.said_bye and client.is_socket == (what in _ON_SOCKETS):
            getattr(self, what)(client, value)

    def keep_polite(self, client: _Client) -> None:
        for uuid, at_ns in list(client.pings.items()):
            if self.now_ns - at_ns > _POLITE_S * 1_000_000_000 and not client.said_bye:
                self.pong(client, 0)
                client.pings.pop(uuid, None)

    def note(self) -> None:
        self.add(Note, text="pressed reload")

    def clock(self) -> None:
        self.add(Clock, wall=WALL)

    def unknown(self) -> None:
        line = b'{"kind":"future","seq":0,"offset_ns":%d,"x":1.10}' % self.now_ns
        self.entries.append(UnknownEntry(kind="future", seq=0, offset_ns=self.now_ns, line=line))

    def open(self, client: _Client) -> None:
        if client.is_open:
            return
        client.__init__(client.number)  # type: ignore[misc]
        client.is_open = True
        self.add(Open, connection=client.number, leg=self.leg, peer="127.0.0.1:5")

    def ask(self, client: _Client, method: str, target: str, headers: Any = ()) -> None:
        if client.asked is None:
            self.exchanges += 1
            client.asked = self.add(
                Request,
                connection=client.number,
                exchange=self.exchanges,
                method=method,
                target=target,
                headers=[("Host", "track.example"), *headers],
            )

    def login(self, client: _Client, value: int) -> None:
        self.ask(client, "POST", "/api/session")

    def get(self, client: _Client, value: int) -> None:
        target = ("/api/devices", "/index.html", "/app.js", "/api/reports/route?deviceId=1")
        self.ask(client, "GET", target[value % 4], [("Cookie", f"JSESSIONID={self.cookie}")])

    def upgrade(self, client: _Client, value: int) -> None:
        fields = [
            *(("Upgrade", "websocket"), ("Sec-WebSocket-Key", KEY)),
            *(("Sec-WebSocket-Version", "13"), ("Cookie", f"JSESSIONID={self.cookie}")),
        ]
        self.ask(client, "GET", "/api/socket", fields)

    def answer(self, client: _Client, value: int) -> None:
        asked, client.asked = client.asked, None
        if asked is None:
            return
        common = {"connection": client.number, "exchange": asked.exchange}
        if asked.target == "/api/socket":
            self.add(Response, **common, status=101, headers=[])
            client.is_socket = True
            return
        headers = []
        if asked.method == "POST":
            self.cookie = f"node0{asked.exchange}"
            headers = [("Set-Cookie", f"JSESSIONID={self.cookie}; Path=/api")]
        self.add(Response, **common, status=200, headers=headers)
        for number in range(value % 3):
            text = f'[{{"id":{value}}}]' if value % 3 == 1 else "x"
            last = number == value % 3 - 1
            self.add(Body, **common, sender="server", last=last, text=text)

    def close(self, client: _Client, value: int) -> None:
        client.is_open = False
        client.pings.clear()
        self.add(Closed, connection=client.number, by="client", how="eof")

    def say(self, client: _Client, value: int) -> None:
        self.message(client, "server", _said(value))

    def begin(self, client: _Client, value: int) -> None:
        data = _said(value)
        self.begin_message(client, "server", data, value % len(data))

    def go_on(self, client: _Client, value: int) -> None:
        rest = client.rest.get("server")
        if rest is not None:
            size = value % (len(rest) + 1)
            self.text(client, "server", rest[:size], fin=False)
            client.rest["server"] = rest[size:]

    def ping(self, client: _Client, value: int) -> None:
        self.uuids += 1
        uuid = f"a0b34365-908f-4868-a52a-{self.uuids:012}"
        self.message(client, "server", ping(uuid))
        client.pings[uuid] = self.now_ns

    def pong(self, client: _Client, value: int) -> None:
        if "client" in client.rest:
            self.end_message(client, "client")
        elif client.pings:
            uuid = next(iter(client.pings))
            del client.pings[uuid]
            self.message(client, "client", f"pong {uuid}".encode())

    def pong_begin(self, client: _Client, value: int) -> None:
        if client.pings and "client" not in client.rest:
            uuid = next(iter(client.pings))
            del client.pings[uuid]
            self.begin_message(client, "client", f"pong {uuid}".encode(), value % 40)

    def wrong_pong(self, client: _Client, value: int) -> None:
        self.message(client, "client", (b"Pong 5", b"pong 5", b"pong a0b34365")[value % 3])

    def chatter(self, client: _Client, value: int) -> None:
        self.message(client, "client", b"hello")

    def control(self, client: _Client, value: int) -> None:
        self.frame(client, "server", Frame.make(Opcode.PING, b"alive"))

    def bye(self, client: _Client, value: int) -> None:
        for sender in ("server", "client"):
            self.end_message(client, sender)
        while client.pings:
            self.pong(client, value)
        self.frame(client, "server", close_frame(1001, "bye"))
        client.said_bye = True


_ON_SOCKETS = {
    *("say", "begin", "go_on", "ping", "pong", "pong_begin", "wrong_pong", "chatter"),
    *("control", "bye"),
}


def _said(value: int) -> bytes:
    return _MESSAGES[value % len(_MESSAGES)] % (value % 7, value % 3 + 1)


def steps(names: Sequence[str]) -> st.SearchStrategy[list[Any]]:
    return st.lists(
        st.tuples(
            st.sampled_from(names),
            st.sampled_from([1, 1, 1, 2, 3]),
            st.integers(0, 500),
            st.sampled_from([0, 1_000_000, 900_000_000, 5_000_000_000]),
        ),
        max_size=40,
    )


def recorded(done: Iterable[Any], *, leg: str = "client") -> list[AnyEntry]:
    """The entries of a recording in which this was done, behind a login and a socket of client 1.

    As a recorder that stops has it, every connection is closed at the end.
    """
    traffic = _Traffic(leg)
    start = ("open", "login", "answer", "upgrade", "answer")
    for step in [*((name, 1, 0, 1000) for name in start), *done]:
        traffic.step(*step)
    for client in traffic.clients.values():
        if client.is_open:
            traffic.close(client, 0)
    return traffic.entries


polite = steps(_STEPS).map(recorded)
"""Recordings of clients that keep the rules: no violation is in them."""

rude = steps(_RUDE_STEPS).map(recorded)
"""Recordings of clients that do not."""


def proxied(entries: Iterable[AnyEntry]) -> list[AnyEntry]:
    """The same as a proxy records it: each client leg with an upstream leg of heads alone."""
    made: list[AnyEntry] = []
    for entry in entries:
        match entry:
            case Open():
                made.append(entry)
                made.append(
                    msgspec.structs.replace(
                        entry,
                        connection=entry.connection + UPSTREAM,
                        leg="upstream",
                        paired_with=entry.connection,
                        url="https://track.example",
                        peer=None,
                    )
                )
            case Request():
                made += [entry, upstream(entry)]
            case Response() | Closed():
                made += [upstream(entry), entry]
            case _:
                made.append(entry)
    return made


def upstream(entry: Any) -> Any:
    return msgspec.structs.replace(entry, connection=entry.connection + UPSTREAM)


# As files


def write_whole(path: Path, entries: Iterable[AnyEntry], **of_header: Any) -> Path:
    """An unrotated recording."""
    with Writer.create(path, header(**of_header), force=True, file_of=NoSync) as writer:
        for entry in entries:
            writer.write(entry)
        writer.close({"cookie": 1})
    return path


def write_parts(
    folder: Path, entries: Sequence[AnyEntry], places: Iterable[int], **of_header: Any
) -> list[Path]:
    """The same as a recorder writes it in parts, cut before the entries at these places."""
    path = Path(tempfile.mkdtemp(dir=folder)) / "some.track.jsonl"
    cuts = sorted(place % (len(entries) + 1) for place in places)
    series = Series.create(path, header(**of_header), SoFar(), Rotation(), file_of=NoSync)
    series.counts = lambda: {"cookie": series.part}
    for number, entry in enumerate(entries):
        while cuts and cuts[0] == number:
            del cuts[0]
            series.cut(series.offset_ns or 0)
        series.write(entry)
    for _ in cuts:
        series.cut(series.offset_ns or 0)
    series.close()
    return [part for _, part in find_parts(path)]
