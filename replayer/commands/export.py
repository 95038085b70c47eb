"""`track-replayer export`: a recording in the form of other tools.

The exact WebSocket bytes of one direction of a connection, or all of it as a HAR.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from recorder.console import say
from recorder.errors import CorruptRecording, DiskFailed, OutputExists
from recorder.model import Bytes, FrameEntry, KnownEntry, Request, Response, Sender, UnknownEntry
from recorder.wire.frames import FrameParser
from replayer.conversation import frame_of
from replayer.errors import CannotExport
from replayer.har import HarExport
from replayer.legs import client_legs
from replayer.series import SeriesReader

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
@click.argument("recordings", metavar="REC...", nargs=-1, required=True)
@click.option(
    "--to",
    "form",
    type=click.Choice(["wire", "har"]),
    required=True,
    help="wire: the bytes of a socket; har: all exchanges and messages, for DevTools.",
)
@click.option(
    "--connection", type=int, metavar="N", help="wire: which connection, if there are several."
)
@click.option("--sender", type=click.Choice(["client", "server"]), help="wire: whose bytes.")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to; - is stdout.")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def export_command(
    recordings: tuple[str, ...],
    form: str,
    connection: int | None,
    sender: Sender | None,
    output: str,
    force: bool,
) -> None:
    """REC, or the parts of a series as one, as the bytes of a socket, or as a HAR.

    wire: what follows the HTTP head of one connection, in one direction: every frame as it stood on
    the wire, client frames masked with the key that was recorded, and bytes that were no frame.

    har: every exchange with its body and every socket with its messages, as HAR 1.2 with the fields
    of Chrome. Control frames and fragmentation are left out.
    """
    if form == "har":
        if connection is not None or sender is not None:
            raise click.UsageError("--connection and --sender are for --to wire; a HAR holds all")
        _export_har(recordings, output, force=force)
    elif sender is None:
        raise click.UsageError("--to wire needs --sender: client or server")
    else:
        _export_wire(recordings, connection, sender, output, force=force)


def _export_wire(
    recordings: tuple[str, ...],
    connection: int | None,
    sender: Sender,
    output: str,
    *,
    force: bool,
) -> None:
    with SeriesReader(recordings) as reader:
        if reader.header.fidelity != "wire":
            raise CannotExport(
                f"{reader.name} has the fidelity {reader.header.fidelity!r}: its frames were never "
                f"seen, so there are no bytes to rebuild; expected the fidelity 'wire', which a "
                f"capture of the socket has"
            )
        socket = _choose(sockets(client_legs(reader)), connection, reader.name)
    with SeriesReader(recordings) as reader, _destination(output, force=force) as file:
        entries = redacted = size_bytes = 0
        for entry, data in wire_bytes(client_legs(reader), socket, sender):
            file.write(data)
            entries += 1
            redacted += entry.redacted
            size_bytes += len(data)
    say(f"connection {socket.connection}, {sender}: {entries} entries, {size_bytes} bytes")
    if redacted:
        say(f"{redacted} of {entries} entries were redacted: this is not the original")
    _say_torn(reader)


def _export_har(recordings: tuple[str, ...], output: str, *, force: bool) -> None:
    with (
        SeriesReader(recordings) as reader,
        _destination(output, force=force) as file,
        # Beside the output, where there is room for it; else where the system wants such files.
        tempfile.TemporaryFile(
            dir=None if output == "-" else Path(output).resolve().parent
        ) as spool,
    ):
        export = HarExport(reader.header, spool)
        for chunk in export.chunks(reader):
            file.write(chunk)
    say(f"{export.exchanges} exchanges, {export.messages} messages")
    if reader.header.timing == "none":
        say(f"{reader.name} has no timing: everything stands at {reader.header.started_at}")
    for name, count in sorted(export.left_out.items()):
        if count:
            say(f"left out: {count} {name}")
    if export.redacted:
        say(f"{export.redacted} entries were redacted: this is not the original")
    _say_torn(reader)


def _say_torn(reader: SeriesReader) -> None:
    for problem in reader.problems:
        say(problem)
    if reader.torn is not None:
        say(
            f"{reader.names[-1]} is torn: {reader.torn.bytes_lost} bytes at its end could not be"
            f" read ({reader.torn.why})"
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
