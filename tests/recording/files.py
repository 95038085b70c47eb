"""Recordings to test with: written quickly, torn anywhere."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from recorder.model import (
    Body,
    Closed,
    FrameEntry,
    Header,
    KnownEntry,
    Note,
    Open,
    Request,
    Response,
    Sender,
    UnknownEntry,
)
from recorder.recording import OsFile, Reader, Writer
from recorder.wire.frames import Frame, Opcode
from tests.strategies import WALL, entry_lists, json_numbers, make_header, senders

__all__ = ["NoSync", "read", "record", "resume", "traffic"]


class NoSync(OsFile):
    """A file that is never synced: for tests of what is written, which would take minutes else."""

    def sync(self) -> None:
        """Trust the operating system."""


def record(
    path: Path,
    entries: list[KnownEntry | UnknownEntry],
    *,
    header: Header | None = None,
    flush_every: int = 0,
    end: bool = True,
) -> list[KnownEntry | UnknownEntry]:
    """Write a recording over whatever is there; return the entries as written, without the end."""
    writer = Writer.create(
        path, header or make_header(), force=True, file_of=NoSync, clock=lambda: 0
    )
    written = []
    for number, entry in enumerate(entries, 1):
        written.append(writer.write(entry))
        if flush_every and number % flush_every == 0:
            writer.flush()
    if end:
        writer.close()
    else:
        writer.abort()
    return written


def read(path: Path, *, salvage: bool = False) -> tuple[list[KnownEntry | UnknownEntry], Reader]:
    """All entries, and the reader at its end, closed."""
    with Reader(path, salvage=salvage) as reader:
        return list(reader), reader


def resume(path: Path) -> Writer:
    """Go on with a recording, without syncing."""
    assert os.path.exists(path)
    return Writer.resume(path, wall=WALL, file_of=NoSync, clock=lambda: 0)


# Traffic of Track, as entries

_IDS = st.integers(1, 4)


def _objects(kind: str) -> SearchStrategy[str]:
    one = st.builds(
        lambda number, device, value: (
            f'{{"id":{number},"v":{value}' + (f',"deviceId":{device}}}' if device else "}")
        ),
        _IDS,
        st.none() | _IDS,
        json_numbers,
    )
    return st.lists(one, max_size=3).map(lambda all_: f'{{"{kind}":[{",".join(all_)}]}}')


_server_texts = st.one_of(
    *(_objects(kind) for kind in ("devices", "beacons", "positions")),
    _IDS.map('{{"status":[{{"message":"uuid-{}","type":"PING"}}]}}'.format),
    st.tuples(_objects("devices"), _objects("positions")).map("~".join),
    st.sampled_from(["{}", "no JSON", '{"devices":[1,null,{"id":[7]}]}', '{"devices":3}', "ä"]),
)
_client_texts = st.one_of(_IDS.map("pong uuid-{}".format), st.just("pong"))
_bodies = st.builds(
    Body,
    connection=st.integers(1, 3),
    exchange=_IDS,
    sender=senders,
    last=st.booleans(),
    text=st.just("body"),
    offset_ns=st.just(0),
)


@st.composite
def _messages(draw: st.DrawFn) -> list[KnownEntry]:
    """The frames of one message, perhaps without the last, perhaps with a ping among them."""
    sender: Sender = draw(senders)
    text = draw(_server_texts if sender == "server" else _client_texts).encode()
    at = sorted(draw(st.lists(st.integers(0, len(text)), max_size=2)))
    pieces = [text[start:stop] for start, stop in itertools.pairwise([0, *at, len(text)])]
    frames = [
        Frame.make(
            Opcode.CONTINUATION if number else Opcode.TEXT, piece, fin=number == len(pieces) - 1
        )
        for number, piece in enumerate(pieces)
    ]
    if draw(st.booleans()):
        frames.insert(1, Frame.make(Opcode.PING, b""))
    connection = draw(st.integers(1, 3))
    return [
        FrameEntry.of(frame, connection=connection, sender=sender, offset_ns=0)
        for frame in frames[: draw(st.integers(1, len(frames)))]
    ]


@st.composite
def _other(draw: st.DrawFn) -> list[KnownEntry]:
    connection = draw(st.integers(1, 3))
    exchange = draw(_IDS)
    common: dict[str, Any] = {"connection": connection, "offset_ns": 0}
    return [
        draw(
            st.sampled_from(
                [
                    Open(leg="upstream", url="http://track.example", **common),
                    Open(leg="client", peer="[::1]:7", paired_with=1, **common),
                    Request(exchange=exchange, method="GET", target="/", headers=[], **common),
                    Response(exchange=exchange, status=101, headers=[("a", "b")], **common),
                    Response(exchange=exchange, status=100, headers=[], **common),
                    Closed(by="server", how="eof", **common),
                    Note(offset_ns=0, text="[redacted:email-7]", redacted=True),
                ]
            )
        )
    ]


@st.composite
def traffic(draw: st.DrawFn, *, max_size: int = 30) -> list[KnownEntry | UnknownEntry]:
    """Entries as a recorder sees them, in the order of their offsets: several connections, objects,
    PINGs, messages in fragments that may stay unfinished, and what nobody expects.
    """
    groups = draw(
        st.lists(
            _messages() | _other() | _bodies.map(lambda body: [body]) | entry_lists(),
            max_size=max_size,
        )
    )
    now_ns = 0
    made: list[KnownEntry | UnknownEntry] = []
    for entry in itertools.chain.from_iterable(groups):
        now_ns += draw(st.sampled_from([0, 1, 10**8, 10**9]))
        if isinstance(entry, UnknownEntry):
            # Its offset stands in its line.
            made.append(Note(offset_ns=now_ns, text=entry.kind))
        else:
            made.append(msgspec.structs.replace(entry, offset_ns=now_ns))
    return made
