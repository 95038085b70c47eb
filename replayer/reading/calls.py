"""REST calls, whole: entries in, requests with their answers and both bodies out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from recorder.model import (
    AnyEntry,
    Body,
    Closed,
    FrameEntry,
    Headers,
    Request,
    Response,
    Resume,
    Sender,
)
from recorder.redaction.codings import codings_of, decoded
from recorder.wire.handshake import header_value

__all__ = ["MAX_HELD_BYTES", "Call", "Calls", "calls"]

MAX_HELD_BYTES: Final = 16 * 1024 * 1024
"""A longer body is not held: it is no list of objects that anybody asks for twice."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, its answer, and their bodies with the content encoding undone.

    ``seq`` and ``offset_ns`` are those of the entry that ended it. ``response`` is None where none
    came. A body is None where it is not whole, too long to be held, or in an unknown encoding, and
    empty where there is none.
    """

    seq: int
    offset_ns: int | None
    connection: int
    request: Request
    response: Response | None
    request_body: bytes | None
    response_body: bytes | None


class _Held:
    """The body of one sender while it comes."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size_bytes = 0
        self.is_whole = True

    def take(self, entry: Body) -> None:
        self.size_bytes += len(entry.data)
        self.is_whole = entry.last
        if self.size_bytes > MAX_HELD_BYTES:
            self.pieces.clear()
        else:
            self.pieces.append(entry.data)

    def text(self, headers: Headers) -> bytes | None:
        if not self.is_whole or self.size_bytes > MAX_HELD_BYTES:
            return None
        undone = decoded(
            b"".join(self.pieces), codings_of(header_value(headers, "Content-Encoding") or "")
        )
        return None if undone is None else undone[0]


class _Begun:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.response: Response | None = None
        self.bodies: dict[Sender, _Held] = {"client": _Held(), "server": _Held()}

    def call(self, last: AnyEntry) -> Call:
        response = self.response
        answered = self.bodies["server"].text(response.headers) if response is not None else None
        return Call(
            seq=last.seq,
            offset_ns=last.offset_ns,
            connection=self.request.connection,
            request=self.request,
            response=response,
            request_body=self.bodies["client"].text(self.request.headers),
            response_body=answered,
        )


class Calls:
    """REST calls, entry by entry. A call is over when the last piece of its answer's body came,
    when its connection asks for something else, ends, or the recording does. Memory: what is not
    over.
    """

    def __init__(self) -> None:
        self._begun: dict[int, _Begun] = {}
        self._last: AnyEntry | None = None

    def feed(self, entry: AnyEntry) -> list[Call]:
        """The calls that this entry ends: most often none."""
        self._last = entry
        # Nearly all of a long recording, told at once.
        if type(entry) is FrameEntry:
            return []
        match entry:
            case Request():
                over = self._end([entry.connection])
                self._begun[entry.connection] = _Begun(entry)
                return over
            case Response() if entry.status == 101:
                self._begun.pop(entry.connection, None)
            case Response() if entry.status >= 200 and entry.connection in self._begun:
                self._begun[entry.connection].response = entry
            case Body() if entry.connection in self._begun:
                begun = self._begun[entry.connection]
                begun.bodies[entry.sender].take(entry)
                if entry.sender == "server" and entry.last and begun.response is not None:
                    return self._end([entry.connection])
            case Closed():
                return self._end([entry.connection])
            case Resume():
                # Whoever recorded before is gone, and its connections with it.
                return self.finish()
        return []

    def finish(self) -> list[Call]:
        """What the recording ends in."""
        return self._end(list(self._begun))

    def _end(self, connections: list[int]) -> list[Call]:
        return [
            self._begun.pop(connection).call(self._last)
            for connection in connections
            if connection in self._begun and self._last is not None
        ]


def calls(entries: Iterable[AnyEntry]) -> Iterator[Call]:
    """The REST calls of a recording, each once its answer is whole, in that order; upgrades are
    none.

    Give it the client legs of what a proxy recorded (:func:`~replayer.reading.legs.client_legs`).
    Raises what ``entries`` raise.
    """
    fold = Calls()
    for entry in entries:
        yield from fold.feed(entry)
    yield from fold.finish()
