"""A recording made ready for playback: for each recorded socket what the server sent and when, and
what REST answered.

A script is held in memory whole, about as large as the server's frames and answers in the
recording, so that any number of sockets can play it without reading the file again.

Of a proxied recording the client legs are played. A recording that begins with a checkpoint, as
each further part of a series does, plays alone: the sockets that were open begin with the state at
the checkpoint, told as the backend tells it to who joins (manual section 3), and then with the rest
of what they were being sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Final, Protocol

import msgspec

from recorder.errors import RecordingError
from recorder.model import (
    AnyEntry,
    Bytes,
    Checkpoint,
    FrameEntry,
    Header,
    MessageEntry,
    Open,
    Response,
)
from recorder.recording import Torn
from recorder.track.kinds import ping_uuids, read_message
from recorder.wire.frames import Frame, Opcode
from recorder.wire.messages import Message, MessageAssembler
from replayer.playing.answers import (
    ExchangeKey,
    Exchanges,
    RecordedAnswer,
    elements_of,
    exchange_key,
)
from replayer.playing.timeline import Cue, CueKind, merged, whole_messages
from replayer.reading.checkpoints import read_checkpoint, state_of
from replayer.reading.legs import client_legs
from replayer.reading.series import SeriesReader
from replayer.state import OBJECT_KINDS, State

__all__ = ["RecordedAnswer", "Script", "Source", "load_script"]

_API_LISTS: Final = {f"/api/{kind}": kind for kind in OBJECT_KINDS}


class Source(Protocol):
    """What a fake server plays: a script, or a fleet made up as it goes."""

    @property
    def sockets(self) -> int:
        """How many sockets there are to play; at least 1."""

    @property
    def timed(self) -> bool:
        """Whether ``at_ns`` says more than the order."""

    @property
    def ends(self) -> bool:
        """Whether its cues come to an end."""

    @property
    def opening(self) -> State:
        """The state before any socket has played. Not to be changed."""

    def cues(self, number: int, *, later_ns: int = 0) -> Iterable[Cue]:
        """What the server sent on socket ``number`` (from 0), ``at_ns`` from its opening.

        ``later_ns`` is how much later than the first this round of a loop begins: a source whose
        dates are the present's moves them by it, any other takes no notice.
        """

    def shows_timeout(self, number: int) -> bool:
        """Whether socket ``number`` shows a ``webSessionTimeout``."""

    def all_cues(self, *, later_ns: int = 0) -> Iterable[Cue]:
        """The cues of all sockets by time, each message whole, ``at_ns`` from the first opening."""

    def answer(self, method: str, target: str) -> RecordedAnswer | None:
        """A recorded REST answer to the same method, path and sorted query, or None."""

    def requests(self) -> Iterable[ExchangeKey]:
        """What answers were recorded to."""


class _Socket(msgspec.Struct):
    """One recorded socket while it is read."""

    opened_ns: int | None = None
    upgraded: bool = False
    is_listed: bool = False
    cues: list[Cue] = []
    messages: MessageAssembler = msgspec.field(default_factory=MessageAssembler)
    unfinished: list[int] = []
    """Where in ``cues`` the fragments of the unfinished message are."""


class Script:
    """The sockets and REST answers of one recording. Immutable once loaded; see
    :func:`load_script`.
    """

    def __init__(
        self,
        header: Header,
        sockets: list[tuple[int, list[Cue]]],
        answers: dict[ExchangeKey, RecordedAnswer],
        *,
        names: Sequence[str] = (),
        torn: Torn | None = None,
        problems: Sequence[str] = (),
        before: State | None = None,
    ) -> None:
        self.header = header
        self.names = tuple(names)
        """The files that were read, in order."""
        self.torn = torn
        """What of the recording could not be read, at its end."""
        self.problems = tuple(problems)
        """What is missing between its parts, or does not fit together."""
        self._before = before
        self._sockets = sockets
        self._answers = answers
        self._opening: State | None = None

    @property
    def sockets(self) -> int:
        return len(self._sockets)

    @property
    def timed(self) -> bool:
        return self.header.timing != "none"

    @property
    def ends(self) -> bool:
        return True

    @property
    def opening(self) -> State:
        """The state at the checkpoint that the recording begins with, if it does; what that lacks
        is taken from the recorded REST snapshot, and then from the first message that shows it.

        First sight, not last: before any socket has played, REST shows what the socket is about to
        push, not its future.
        """
        if self._opening is None:
            state = State() if self._before is None else self._before.copy()
            for (method, path, query), answer in self._answers.items():
                kind = _API_LISTS.get(path)
                if kind and method == "GET" and not query and answer.status == 200:
                    state.put(kind, elements_of(answer), only_new=self._before is not None)
            for cue in self.all_cues():
                if cue.message is not None and cue.text:
                    state.apply(cue.message, only_new=True)
            self._opening = state
        return self._opening

    def cues(self, number: int, *, later_ns: int = 0) -> list[Cue]:
        return self._sockets[number][1]

    def shows_timeout(self, number: int) -> bool:
        return any(cue.kind == "timeout" for cue in self._sockets[number][1])

    def all_cues(self, *, later_ns: int = 0) -> Iterator[Cue]:
        first_ns = min(opened_ns for opened_ns, _ in self._sockets)
        return merged(
            whole_messages(_later(cues, opened_ns - first_ns)) for opened_ns, cues in self._sockets
        )

    def answer(self, method: str, target: str) -> RecordedAnswer | None:
        return self._answers.get(exchange_key(method, target))

    def requests(self) -> Iterable[ExchangeKey]:
        return self._answers.keys()


def load_script(path: str | PathLike[str], *more: str | PathLike[str]) -> Script:
    """Read a recording, plain or compressed, torn or whole; or the parts of a series, as one.

    Raises RecordingError if it holds no socket on which a server sent anything and no answer of
    REST, and what
    :class:`~replayer.reading.series.SeriesReader` raises.
    """
    loading = _Loading()
    with SeriesReader([path, *more]) as reader:
        for entry in client_legs(reader):
            loading.take(entry, where=f"{reader.name}: entry")
    played, answers = loading.played(), loading.exchanges.answers()
    if not played and answers:
        # Who used REST alone: a socket hears nothing.
        played = [(0, [])]
    if not played:
        raise RecordingError(
            f"{reader.name}: nothing to play: no server message on any connection; see"
            " track-replayer info"
        )
    return Script(
        reader.header,
        played,
        answers,
        names=reader.names,
        torn=reader.torn,
        problems=reader.problems,
        before=loading.before,
    )


class _Loading:
    """A recording while it is read."""

    def __init__(self) -> None:
        self.exchanges = Exchanges()
        self.before: State | None = None
        """The state at the checkpoint that the recording begins with."""
        self._sockets: list[_Socket] = []
        self._open: dict[int, _Socket] = {}
        self._is_first = True

    def take(self, entry: AnyEntry, *, where: str) -> None:
        """The next entry, in its order."""
        match entry:
            case Open():
                self._open[entry.connection] = _Socket(opened_ns=entry.offset_ns)
            case Response(status=101):
                self._upgrade(entry.connection, entry.offset_ns)
            case (
                FrameEntry(sender="server") | MessageEntry(sender="server") | Bytes(sender="server")
            ):
                socket = self._of(entry.connection)
                _add(socket, entry, where=f"{where} {entry.seq}")
                if socket.cues:
                    self._list(socket)
            case Checkpoint():
                self._take_up(entry)
            case _:
                self.exchanges.take(entry)
        self._is_first = False

    def played(self) -> list[tuple[int, list[Cue]]]:
        """The sockets in the order of their opening, each with its moment and its cues."""
        return [
            (socket.opened_ns or 0, _cues_of(socket))
            for socket in self._sockets
            if _is_socket(socket)
        ]

    def _of(self, connection: int) -> _Socket:
        socket = self._open.get(connection)
        if socket is None:
            socket = self._open[connection] = _Socket()
        return socket

    def _upgrade(self, connection: int, opened_ns: int | None) -> _Socket:
        socket = self._of(connection)
        socket.opened_ns = opened_ns
        socket.upgraded = True
        self._list(socket)
        return socket

    def _list(self, socket: _Socket) -> None:
        if not socket.is_listed:
            socket.is_listed = True
            self._sockets.append(socket)

    def _take_up(self, checkpoint: Checkpoint) -> None:
        """Go on from where the checkpoint stands: what is not open there has ended unseen."""
        standing, state = read_checkpoint(checkpoint), state_of(checkpoint)
        if self._is_first:
            self.before = state
        self._open = {
            number: socket
            for number, socket in self._open.items()
            if number in standing.connections
        }
        for number, connection in standing.connections.items():
            request = connection.asked(checkpoint)
            if request is not None and connection.response is None:
                self.exchanges.take(request)
            if not connection.is_socket:
                continue
            socket = self._open.get(number)
            if socket is None or not socket.upgraded:
                socket = self._upgrade(number, checkpoint.offset_ns)
            _drop_unfinished(socket)
            for message in state.messages():
                told = Frame.make(Opcode.TEXT, message)
                _add_frame(socket, told, _at_ns(socket, checkpoint))
        for fragment in standing.fragments.values():
            socket = self._open.get(fragment.connection)
            if socket is not None and fragment.sender == "server":
                _add_frame(socket, fragment.frame, _at_ns(socket, checkpoint))


def _cues_of(socket: _Socket) -> list[Cue]:
    """The socket's cues; the fragments of a message that never ended are torn."""
    for number in socket.unfinished:
        socket.cues[number] = msgspec.structs.replace(socket.cues[number], kind="torn")
    return socket.cues


def _drop_unfinished(socket: _Socket) -> None:
    """The end of the message that was begun is missing, and more follows."""
    for number in reversed(socket.unfinished):
        del socket.cues[number]
    socket.unfinished.clear()
    socket.messages = MessageAssembler()


def _is_socket(socket: _Socket) -> bool:
    return socket.upgraded or any(cue.kind != "torn" for cue in socket.cues)


def _at_ns(socket: _Socket, entry: AnyEntry) -> int:
    return max(0, (entry.offset_ns or 0) - (socket.opened_ns or 0))


def _add(socket: _Socket, entry: FrameEntry | MessageEntry | Bytes, *, where: str) -> None:
    """Append what the server sent to a socket's cues."""
    at_ns = _at_ns(socket, entry)
    if isinstance(entry, Bytes):
        # Before the 101 it is text in front of the head, not the socket's.
        if socket.upgraded:
            socket.cues.append(Cue(at_ns, "torn", entry.data))
        return
    if isinstance(entry, MessageEntry):
        opcode = Opcode.BINARY if entry.opcode == "binary" else Opcode.TEXT
        frame = Frame.make(opcode, entry.data)
    else:
        try:
            frame = entry.frame()
        except ValueError as error:
            raise RecordingError(f"{where}: this frame cannot be played: {error}") from error
    _add_frame(socket, frame, at_ns)


def _add_frame(socket: _Socket, frame: Frame, at_ns: int) -> None:
    number = len(socket.cues)
    if frame.is_control:
        kind: CueKind = "close" if frame.opcode == Opcode.CLOSE else "control"
        socket.cues.append(Cue(at_ns, kind, frame.serialize()))
        return
    socket.cues.append(Cue(at_ns, "data", frame.serialize()))
    socket.unfinished.append(number)
    for event in socket.messages.feed(frame):
        if isinstance(event, Message):
            _complete(socket, event)
    if not socket.messages.unfinished:
        socket.unfinished.clear()


def _complete(socket: _Socket, message: Message) -> None:
    """A message is whole: its frames learn what they belong to."""
    kind = _kind_of(message)
    for number in socket.unfinished:
        socket.cues[number] = msgspec.structs.replace(socket.cues[number], kind=kind)
    last = socket.unfinished[-1]
    socket.cues[last] = msgspec.structs.replace(
        socket.cues[last], message=message.payload, text=message.is_text
    )


def _kind_of(message: Message) -> CueKind:
    """``ping`` or ``timeout`` if the message says nothing else, so that it may be left out."""
    payload = message.payload
    if not message.is_text or not (b"webSessionTimeout" in payload or ping_uuids(payload)):
        return "data"
    parts = read_message(payload)
    if all(part.kind == "webSessionTimeout" for part in parts):
        return "timeout"
    if all(ping_uuids(part.data) for part in parts):
        return "ping"
    return "data"


def _later(cues: list[Cue], by_ns: int) -> Iterator[Cue]:
    return (msgspec.structs.replace(cue, at_ns=cue.at_ns + by_ns) for cue in cues)
