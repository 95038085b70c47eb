"""`track-replayer export`: the exact WebSocket bytes of one direction of a recorded connection."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from recorder.console import say
from recorder.errors import CorruptRecording, DiskFailed, OutputExists
from recorder.model import Bytes, FrameEntry, KnownEntry, Request, Response, Sender, UnknownEntry
from recorder.recording import Reader
from recorder.wire.frames import FrameParser
from replayer.conversation import frame_of
from replayer.errors import CannotExport

__all__ = ["Socket", "export_command", "sockets", "wire_bytes"]


class Socket(msgspec.Struct, frozen=True):
    """A connection that has frames, or a handshake that was answered with 101.

    ``starts`` is the seq of each sender's last HTTP head, where one was seen; WebSocket bytes come
    after it.
    """

    connection: int
    starts: dict[Sender, int]


def sockets(entries: Iterable[KnownEntry | UnknownEntry]) -> dict[int, Socket]:
    """The WebSocket connections of a recording, by number. Reads all entries."""
    starts: dict[int, dict[Sender, int]] = {}
    found: set[int] = set()
    for entry in entries:
        match entry:
            case Request():
                starts.setdefault(entry.connection, {})["client"] = entry.seq
            case Response():
                starts.setdefault(entry.connection, {})["server"] = entry.seq
                if entry.status == 101:
                    found.add(entry.connection)
            case FrameEntry():
                found.add(entry.connection)
    return {
        connection: Socket(connection, starts.get(connection, {})) for connection in sorted(found)
    }


def wire_bytes(
    entries: Iterable[KnownEntry | UnknownEntry], socket: Socket, sender: Sender
) -> Iterator[tuple[FrameEntry | Bytes, bytes]]:
    """Each entry of one direction of a socket with the bytes that stood on the wire, in order.

    Text before the HTTP head, which an imported file may have, is left out: it came from elsewhere.
    Raises CorruptRecording where a frame's header does not fit its payload, for such a recording
    was changed by hand.
    """
    for entry in entries:
        if not isinstance(entry, FrameEntry | Bytes):
            continue
        if entry.connection != socket.connection or entry.sender != sender:
            continue
        if isinstance(entry, FrameEntry):
            yield entry, _frame_bytes(entry)
        elif entry.seq > socket.starts.get(sender, 0):
            yield entry, entry.data


def _frame_bytes(entry: FrameEntry) -> bytes:
    frame = frame_of(entry)
    data = frame.serialize()
    if FrameParser(max_frame_bytes=len(data)).feed(data) != [frame]:
        raise CorruptRecording(
            f"entry {entry.seq}: the frame's head ({entry.head}) does not fit its opcode and its "
            f"payload of {len(frame.payload)} bytes: the recording was changed; take the original"
        )
    return data


@click.command("export")
@click.argument("recording", metavar="REC")
@click.option(
    "--to", "form", type=click.Choice(["wire"]), required=True, help="Bytes as on the wire."
)
@click.option(
    "--connection", type=int, help="Which one; may be left out where only one has frames."
)
@click.option(
    "--sender", type=click.Choice(["client", "server"]), required=True, help="Whose bytes."
)
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to; - is stdout.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def export_command(
    recording: str, form: str, connection: int | None, sender: Sender, output: str, force: bool
) -> None:
    """The exact WebSocket bytes of one direction of a connection in REC.

    What follows the HTTP head is written: every frame as it stood on the wire, client frames
    masked with the key that was recorded, and bytes that were no frame.
    """
    with Reader(recording) as reader:
        if reader.header.fidelity != "wire":
            raise CannotExport(
                f"{recording} has the fidelity {reader.header.fidelity!r}: its frames were never "
                f"seen, so there are no bytes to rebuild; expected the fidelity 'wire', which a "
                f"capture of the socket has"
            )
        socket = _choose(sockets(reader), connection, recording)
    with Reader(recording) as reader, _destination(output, force=force) as file:
        entries = redacted = size_bytes = 0
        for entry, data in wire_bytes(reader, socket, sender):
            file.write(data)
            entries += 1
            redacted += entry.redacted
            size_bytes += len(data)
    torn = reader.torn
    say(f"connection {socket.connection}, {sender}: {entries} entries, {size_bytes} bytes")
    if redacted:
        say(f"{redacted} of {entries} entries were redacted: this is not the original")
    if torn is not None:
        say(
            f"{recording} is torn: {torn.bytes_lost} bytes at its end could not be read "
            f"({torn.why})"
        )


def _choose(found: dict[int, Socket], connection: int | None, recording: str) -> Socket:
    if not found:
        raise CannotExport(f"{recording} holds no WebSocket connection; expected one with frames")
    listed = ", ".join(map(str, found))
    if connection is None:
        if len(found) > 1:
            raise click.UsageError(f"name a connection with --connection; there are {listed}")
        return next(iter(found.values()))
    if connection not in found:
        raise click.UsageError(
            f"connection {connection} has no frames; those that have are {listed}"
        )
    return found[connection]


@contextmanager
def _destination(output: str, *, force: bool) -> Iterator[BinaryIO]:
    """Where the bytes go. A file appears under its name only when it is whole."""
    if output == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    # A link is followed: what it points to is replaced, not the link.
    final = Path(output).resolve()
    if final.exists() and not final.is_file():
        raise OutputExists(f"{output} is no regular file; write to - and redirect it")
    if final.exists() and not force:
        raise OutputExists(
            f"{output} exists already; choose another name, or overwrite it with --force"
        )
    partial = final.with_name(f"{final.name}.{os.getpid()}.part")
    try:
        file = partial.open("xb")
    except OSError as exc:
        raise OutputExists(f"{output} cannot be made: {exc.strerror}") from exc
    try:
        with file:
            yield file
        partial.replace(final)
    except OSError as exc:
        raise DiskFailed(
            f"{output} could not be written: {exc.strerror}; nothing was left of it"
        ) from exc
    finally:
        partial.unlink(missing_ok=True)
