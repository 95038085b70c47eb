"""What of a recording is kept or left out as one: units of entries. Pure.

A unit is a message with all its fragments, an exchange with its bodies, a PING with its pong, a
ping frame with its pong frame, the close frames of a connection together, or any other single
entry. What a kept unit needs is no unit of its own: the ``open`` and ``closed`` of its connection,
the handshake of a socket, and the login before that.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import Final

from recorder.backend import SESSION_PATH
from recorder.model import (
    AnyEntry,
    Body,
    Bytes,
    Checkpoint,
    Closed,
    FrameEntry,
    MessageEntry,
    Open,
    Request,
    Response,
    Resume,
)
from recorder.track.kinds import parse_pong, ping_uuids
from replayer.reading.checkpoints import read_checkpoint

__all__ = ["NO_CONNECTION", "Role", "Units"]

NO_CONNECTION: Final = -1


class Role(IntEnum):
    """Why a unit stays: ``FIXED`` always, ``CONNECTION`` with anything on its connection,
    ``HANDSHAKE`` with its socket, ``PART`` if it is needed itself.
    """

    FIXED = 0
    CONNECTION = 1
    HANDSHAKE = 2
    PART = 3


class Units:
    """The units of a recording, entry by entry. They are numbered in the order of their first
    entries, connections in that of their opening; a number that a recording uses again is another
    connection.

    Memory: 7 bytes a unit, and what is open.
    """

    def __init__(self) -> None:
        self.roles = bytearray()
        """The :class:`Role` of each unit."""
        self.connections = array("i")
        """The connection of each unit, or NO_CONNECTION."""
        self.messages = bytearray()
        """Whether a unit is a data message: 1 of the client, 2 of the server, 0 if it is none."""
        self.ends: list[int] = []
        """Of each connection the unit of its ``open`` and ``closed``."""
        self.sockets: dict[int, int | None] = {}
        """Each connection that has frames or a handshake: the exchange of the login before it, None
        where there is none."""
        self.upgraded: set[int] = set()
        """The sockets whose handshake was seen."""
        self._connection_of: dict[int, int] = {}
        self._exchanges: dict[tuple[int, int], int] = {}
        self._asks_to_log_in: set[int] = set()
        self._login: int | None = None
        self._unfinished: dict[tuple[int, str], tuple[int, list[bytes]]] = {}
        self._pings: dict[tuple[int, str, bytes | str], int] = {}
        self._closes: dict[int, int] = {}

    def take(self, entry: AnyEntry) -> int:
        """The unit of the next entry."""
        match entry:
            case Open():
                self._connection_of.pop(entry.connection, None)
                return self.ends[self._connection(entry.connection)]
            case Closed():
                unit = self.ends[self._connection(entry.connection)]
                self._connection_of.pop(entry.connection, None)
                return unit
            case Request() | Response() | Body():
                return self._exchange(entry, self._connection(entry.connection))
            case FrameEntry() | MessageEntry():
                connection = self._connection(entry.connection)
                self.sockets.setdefault(connection, self._login)
                if entry.opcode in ("close", "ping", "pong") or isinstance(entry.opcode, int):
                    return self._control(entry, connection)
                return self._message(entry, connection)
            case Bytes():
                return self._new(Role.PART, self._connection(entry.connection))
            case Checkpoint():
                self._take_up(entry)
                return self._new(Role.FIXED)
            case Resume():
                # Whoever recorded before is gone, and its connections with it.
                self._connection_of.clear()
                return self._new(Role.FIXED)
            case _:
                return self._new(Role.PART)

    def _new(self, role: Role, connection: int = NO_CONNECTION, message: int = 0) -> int:
        self.roles.append(role)
        self.connections.append(connection)
        self.messages.append(message)
        return len(self.roles) - 1

    def _connection(self, number: int) -> int:
        connection = self._connection_of.get(number)
        if connection is None:
            connection = self._connection_of[number] = len(self.ends)
            self.ends.append(self._new(Role.CONNECTION, connection))
        return connection

    def _exchange(self, entry: Request | Response | Body, connection: int) -> int:
        key = connection, entry.exchange
        unit = self._exchanges.get(key)
        if unit is None:
            unit = self._exchanges[key] = self._new(Role.PART, connection)
        if isinstance(entry, Request):
            path = entry.target.partition("?")[0]
            if entry.method == "POST" and path.endswith(SESSION_PATH):
                self._asks_to_log_in.add(unit)
        elif isinstance(entry, Response):
            if entry.status == 101:
                self.roles[unit] = Role.HANDSHAKE
                self.sockets[connection] = self._login
                self.upgraded.add(connection)
            elif entry.status == 200 and unit in self._asks_to_log_in:
                self._login = unit
        return unit

    def _control(self, entry: FrameEntry | MessageEntry, connection: int) -> int:
        if entry.opcode == "close":
            unit = self._closes.get(connection)
            if unit is None:
                unit = self._closes[connection] = self._new(Role.PART, connection)
            return unit
        if isinstance(entry.opcode, int):
            return self._new(Role.PART, connection)
        if entry.opcode == "pong":
            asked = "client" if entry.sender == "server" else "server"
            answered = self._pings.pop((connection, asked, entry.data), None)
            return self._new(Role.PART, connection) if answered is None else answered
        unit = self._new(Role.PART, connection)
        self._pings[connection, entry.sender, entry.data] = unit
        return unit

    def _message(self, entry: FrameEntry | MessageEntry, connection: int) -> int:
        """The unit of a data frame: that of its message, or of the PING that it answers."""
        key = connection, entry.sender
        begun = self._unfinished.get(key) if entry.opcode == "continuation" else None
        is_last = isinstance(entry, MessageEntry) or entry.fin
        if begun is None and is_last and entry.sender == "client":
            pong = parse_pong(entry.data)
            if pong is not None and pong.uuid is not None:
                ping = self._pings.pop((connection, "server", pong.uuid), None)
                if ping is not None:
                    return ping
        unit, pieces = begun or (
            self._new(Role.PART, connection, 2 if entry.sender == "server" else 1),
            [],
        )
        pieces.append(entry.data)
        if not is_last:
            self._unfinished[key] = unit, pieces
            return unit
        self._unfinished.pop(key, None)
        if entry.sender == "server":
            for uuid in ping_uuids(b"".join(pieces)):
                self._pings[connection, "server", uuid] = unit
        return unit

    def _take_up(self, checkpoint: Checkpoint) -> None:
        """The sockets that are open there are played, whatever stands behind it."""
        for number, standing in read_checkpoint(checkpoint).connections.items():
            if standing.is_socket:
                connection = self._connection(number)
                self.sockets.setdefault(connection, self._login)
                self.upgraded.add(connection)
