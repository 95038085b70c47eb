"""A recording made ready for playback: for each recorded socket what the server sent and when, and
what REST answered.

A script is held in memory whole, about as large as the server's frames in the recording, so that
any number of sockets can play it without reading the file again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from recorder.errors import RecordingError
from recorder.model import (
    AnyEntry,
    Body,
    Bytes,
    FrameEntry,
    Header,
    MessageEntry,
    Open,
    Request,
    Response,
)
from recorder.recording import Reader, Torn
from recorder.redaction.codings import codings_of, decoded
from recorder.track.kinds import ping_uuids, read_message
from recorder.wire.frames import Frame, Opcode
from recorder.wire.handshake import header_value
from recorder.wire.messages import Message, MessageAssembler
from replayer.state import OBJECT_KINDS, State
from replayer.timeline import Cue, CueKind, merged, whole_messages

__all__ = ["RecordedAnswer", "Script", "Source", "load_script"]

_API_LISTS: Final = {f"/api/{kind}": kind for kind in OBJECT_KINDS}


class RecordedAnswer(msgspec.Struct, frozen=True):
    """A REST answer as recorded: status, head, body in its content encoding."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Source(Protocol):
    """What a fake server plays: a script, or a fleet made up as it goes."""

    @property
    def sockets(self) -> int:
        """How many sockets there are to play; at least 1."""

    @property
    def timed(self) -> bool:
        """Whether ``at_ns`` says more than the order."""

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


class _Socket(msgspec.Struct):
    """One recorded socket while it is read."""

    opened_ns: int | None = None
    upgraded: bool = False
    repeats_another: bool = False
    cues: list[Cue] = []
    messages: MessageAssembler = msgspec.field(default_factory=MessageAssembler)
    unfinished: list[int] = []
    """Where in ``cues`` the fragments of the unfinished message are."""


class _Exchange(msgspec.Struct):
    """One recorded HTTP exchange while it is read."""

    request: Request | None = None
    response: Response | None = None
    body: list[bytes] = []


_Key: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]
"""Method, path and sorted query: what a recorded answer is found by."""


class Script:
    """The sockets and REST answers of one recording. Immutable once loaded; see
    :func:`load_script`.
    """

    def __init__(
        self,
        header: Header,
        sockets: list[tuple[int, list[Cue]]],
        answers: dict[_Key, RecordedAnswer],
        *,
        torn: Torn | None = None,
    ) -> None:
        self.header = header
        self.torn = torn
        """What of the recording could not be read, at its end."""
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
    def opening(self) -> State:
        """The recorded REST snapshot; what it lacks is taken from the first message that shows it.

        First sight, not last: before any socket has played, REST shows what the socket is about to
        push, not its future.
        """
        if self._opening is None:
            state = State()
            for (method, path, query), answer in self._answers.items():
                kind = _API_LISTS.get(path)
                if kind and method == "GET" and not query and answer.status == 200:
                    state.put(kind, _elements(answer))
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
        return self._answers.get(_exchange_key(method, target))


def load_script(path: Path) -> Script:
    """Read a recording, plain or compressed, torn or whole.

    Raises RecordingError if it holds no socket on which a server sent anything, and what
    :class:`Reader` raises.
    """
    sockets: defaultdict[int, _Socket] = defaultdict(_Socket)
    exchanges: defaultdict[tuple[int, int], _Exchange] = defaultdict(_Exchange)
    with Reader(path) as reader:
        for entry in reader:
            match entry:
                case Open():
                    sockets[entry.connection].opened_ns = entry.offset_ns
                    # A proxy records a socket once, on its client leg.
                    repeats = entry.leg == "upstream" and entry.paired_with is not None
                    sockets[entry.connection].repeats_another = repeats
                case Request():
                    exchanges[entry.connection, entry.exchange].request = entry
                case Response():
                    exchanges[entry.connection, entry.exchange].response = entry
                    if entry.status == 101:
                        sockets[entry.connection].opened_ns = entry.offset_ns
                        sockets[entry.connection].upgraded = True
                case Body(sender="server"):
                    exchanges[entry.connection, entry.exchange].body.append(entry.data)
                case (
                    FrameEntry(sender="server")
                    | MessageEntry(sender="server")
                    | Bytes(sender="server")
                ):
                    _add(sockets[entry.connection], entry, where=f"{path}: entry {entry.seq}")
        header, torn = reader.header, reader.torn
    played = [
        (socket.opened_ns or 0, _cues_of(socket))
        for _, socket in sorted(sockets.items())
        if _is_socket(socket)
    ]
    if not played:
        raise RecordingError(
            f"{path}: nothing to play: no server message on any connection; see track-replayer info"
        )
    return Script(header, played, _answers_of(exchanges.values()), torn=torn)


def _answers_of(exchanges: Iterable[_Exchange]) -> dict[_Key, RecordedAnswer]:
    """What was answered to each request; the first answer, where one was repeated.

    Not that a login was missing, nor that the client had it already: neither is for another client.
    """
    answers: dict[_Key, RecordedAnswer] = {}
    for exchange in exchanges:
        request, response = exchange.request, exchange.response
        if request is not None and response is not None and response.status not in (101, 304, 401):
            key = _exchange_key(request.method, request.target)
            answer = RecordedAnswer(response.status, response.headers, b"".join(exchange.body))
            answers.setdefault(key, answer)
    return answers


def _cues_of(socket: _Socket) -> list[Cue]:
    """The socket's cues; the fragments of a message that never ended are torn."""
    for number in socket.unfinished:
        socket.cues[number] = msgspec.structs.replace(socket.cues[number], kind="torn")
    return socket.cues


def _is_socket(socket: _Socket) -> bool:
    if socket.repeats_another:
        return False
    return socket.upgraded or any(cue.kind != "torn" for cue in socket.cues)


def _add(socket: _Socket, entry: AnyEntry, *, where: str) -> None:
    """Append what the server sent to a socket's cues."""
    at_ns = max(0, (entry.offset_ns or 0) - (socket.opened_ns or 0))
    if isinstance(entry, Bytes):
        # Before the 101 it is text in front of the head, not the socket's.
        if socket.upgraded:
            socket.cues.append(Cue(at_ns, "torn", entry.data))
        return
    if isinstance(entry, MessageEntry):
        opcode = Opcode.BINARY if entry.opcode == "binary" else Opcode.TEXT
        frame = Frame.make(opcode, entry.data)
    else:
        assert isinstance(entry, FrameEntry)
        try:
            frame = entry.frame()
        except ValueError as error:
            raise RecordingError(f"{where}: this frame cannot be played: {error}") from error
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


def _elements(answer: RecordedAnswer) -> list[bytes]:
    """The objects in the list that was answered; none if it cannot be read."""
    codings = codings_of(header_value(answer.headers, "Content-Encoding") or "")
    undone = decoded(answer.body, codings)
    if undone is None:
        return []
    try:
        return [
            bytes(element) for element in msgspec.json.decode(undone[0], type=list[msgspec.Raw])
        ]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _exchange_key(method: str, target: str) -> _Key:
    path, _, query = target.partition("?")
    return method.upper(), path, tuple(sorted(parse_qsl(query, keep_blank_values=True)))
